"""Test that docs/device-agent.md matches the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from device_agent.errors import Failure
from device_agent.ports import Installer
from simulator.cloud.connected_devices import MAX_DEVICES, MAX_INSTALLING_DEVICES
from simulator.paths import REPOSITORY
from simulator.simulated_device import faults
from tests.device_agent.bench_device import NEW, OLD, Bench

PAGE = (REPOSITORY / "docs/device-agent.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
AGENT = REPOSITORY / "device_agent"


def test_the_table_of_error_codes_is_complete() -> None:
    table = PAGE.split("of a failed update:")[1].split("## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(Failure)


class SimulatedRauc:
    """A simulated RAUC on U-Boot, which does not show whether a slot is on trial."""

    def __init__(self) -> None:
        self.contents = {"A": OLD, "B": ""}
        self.booted = self.next = "A"
        self.bad: set[str] = set()

    def call(self, *arguments: str) -> str:
        other = {"A": "B", "B": "A"}[self.booted]
        match arguments:
            case ["install", _]:
                self.contents[other] = NEW
            case ["status", "mark-active", "other"]:
                self.next = other
            case ["status", "mark-bad", "booted"]:
                self.next = other
        slots = [{name: {"bootname": name[-1]}} for name in ("rootfs.A", "rootfs.B")]
        primary = f"rootfs.{self.next}"
        return json.dumps({"booted": self.booted, "boot_primary": primary, "slots": slots})

    def boot(self) -> None:
        self.booted = self.next


@pytest.mark.parametrize("health_problem", [None, "no sensor responds"])
def test_the_agent_runs_on_the_installer_of_the_page(
    health_problem: str | None, tmp_path: Path
) -> None:
    text = BLOCKS[0]
    found: dict[str, Any] = {}
    exec(text, found)  # noqa: S102 - the page's own code
    rauc, bench = SimulatedRauc(), Bench(health_problem=health_problem)
    installer: Installer = found["RaucInstaller"](tmp_path)
    for name, value in {
        "_rauc": rauc.call,
        "_version": lambda: rauc.contents[rauc.booted],
        "restart": bench.restart,
    }.items():
        setattr(installer, name, value)
    for _ in range(4):
        rauc.boot()
        bench.run_once(bench.payload, installer=installer)
    told = [report.status for report in bench.reports]
    assert told == [
        "standBy",
        "downloading",
        "applying",
        "failed" if health_problem else "completed",
    ]
    assert (
        rauc.contents[rauc.booted]
        == bench.twin["firmwareVersion"]
        == (OLD if health_problem else NEW)
    )


def test_the_named_files_exist() -> None:
    named = set(re.findall(r"`(\w+\.py)`", PAGE))
    there = [*AGENT.glob("*.py"), *AGENT.parent.glob("*.py")]
    assert named <= {path.name for path in there}


def test_every_fault_is_named() -> None:
    named = re.search(r"may be repeated: (.*?); or", PAGE, re.DOTALL)
    assert named is not None
    texts = [name.partition("=")[0] for name in re.findall(r"`([^`]+)`", named[1])]
    assert texts == list(faults.KNOWN_FAULTS)


def test_the_maximum_of_devices_per_process_is_stated() -> None:
    page = (REPOSITORY / "docs/local-cloud.md").read_text()
    assert f"can run {MAX_INSTALLING_DEVICES} devices" in page
    assert f"or {MAX_DEVICES} that do not" in page


def test_the_proxies_of_the_page_are_valid() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[1], names)  # noqa: S102 - the page's own example
    proxies = names["proxies"]
    assert str(proxies.find("https", "packages.example", 443)) == "proxy.example:3128"
    assert proxies.find("https", "packages.internal", 443) is None
