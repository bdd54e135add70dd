"""What the page about the device agent says is so."""

import re
from typing import Any

import simulator.device.agent
from simulator.azurite import REPOSITORY
from simulator.device.agent.ports import Installer
from simulator.device.pretend import faults

PAGE = (REPOSITORY / "docs/device-agent.md").read_text()
AGENT = REPOSITORY / "simulator/device/agent"
ADMISSION_CODES = {"unsigned"}


def test_every_error_code_is_in_its_table_and_no_other() -> None:
    code = "".join(path.read_text() for path in AGENT.glob("*.py"))
    raised = set(re.findall(r'UpdateFailed\(\s*"(\w+)"', code))
    raised |= set(re.findall(r'_error\("(\w+)"', code))
    raised |= {"noSpace", "storageFailed"}
    table = PAGE.split("of a failed update:")[1].split("## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == raised


def test_the_installer_that_it_shows_has_the_shape_of_the_door() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {}
    exec(text, found)  # noqa: S102 - the page's own code
    wanted = {name for name in vars(Installer) if not name.startswith("_")}
    assert wanted <= set(vars(found["RaucInstaller"]))


def test_the_files_that_it_names_are_those_of_the_agent() -> None:
    named = set(re.findall(r"`(\w+\.py)`", PAGE))
    assert named <= {path.name for path in AGENT.glob("*.py")}
    assert simulator.device.agent.__doc__


def test_every_fault_is_named() -> None:
    named = re.search(r"may be repeated: (.*?); or", PAGE, re.DOTALL)
    assert named is not None
    texts = [name.partition("=")[0] for name in re.findall(r"`([^`]+)`", named[1])]
    assert texts == list(faults.KNOWN)
