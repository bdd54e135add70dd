"""What the page about the device agent says is so."""

import re
import subprocess
import sys
from typing import Any

from simulator.azurite import REPOSITORY
from simulator.device.agent.errors import Failure
from simulator.device.agent.ports import Installer
from simulator.device.pretend import faults

PAGE = (REPOSITORY / "docs/device-agent.md").read_text()
AGENT = REPOSITORY / "simulator/device/agent"


def test_every_error_code_is_in_its_table_and_no_other() -> None:
    table = PAGE.split("of a failed update:")[1].split("## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(Failure)


def test_the_installer_that_it_shows_has_the_shape_of_the_door() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(text, found)  # noqa: S102 - the page's own code
    wanted = {name for name in vars(Installer) if not name.startswith("_")}
    assert wanted <= set(vars(found["RaucInstaller"]))


def test_the_files_that_it_names_are_those_of_the_agent() -> None:
    named = set(re.findall(r"`(\w+\.py)`", PAGE))
    there = [*AGENT.glob("*.py"), *AGENT.parent.glob("*.py")]
    assert named <= {path.name for path in there}


def test_the_agent_needs_nothing_but_what_the_page_says_to_take_along() -> None:
    rooms = [path.stem for path in AGENT.glob("*.py") if path.stem != "__init__"]
    imports = "".join(f"import simulator.device.agent.{room}\n" for room in rooms)
    code = f"{imports}import sys\nprint(*(name for name in sys.modules if 'simulator' in name))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    taken = ("simulator.device.agent", "simulator.firmware")
    beside = {f"simulator.device.{name}" for name in ("stages", "dialect", "update")}
    houses = {"simulator", "simulator.device"}
    others = [name for name in done.stdout.split() if not name.startswith(taken)]
    assert set(others) == beside | houses


def test_every_fault_is_named() -> None:
    named = re.search(r"may be repeated: (.*?); or", PAGE, re.DOTALL)
    assert named is not None
    texts = [name.partition("=")[0] for name in re.findall(r"`([^`]+)`", named[1])]
    assert texts == list(faults.KNOWN)
