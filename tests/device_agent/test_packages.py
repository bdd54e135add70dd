"""Test what the packages for products import: neither the simulator nor the backend."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("device_agent", "signed_firmware")
HUB_MODULES = ("hub_connection", "hub_runner")


def modules(package: str) -> list[str]:
    """Return the names of a package's modules."""
    return [f"{package}.{path.stem}" for path in sorted((REPOSITORY / package).glob("[!_]*.py"))]


def loaded(names: list[str]) -> set[str]:
    """Import modules in a new process and return the names of all that this loads."""
    code = "".join(f"import {name}\n" for name in names) + "import sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    return set(done.stdout.split())


def test_the_packages_import_neither_the_simulator_nor_the_backend() -> None:
    found = loaded([name for package in PACKAGES for name in modules(package)])
    assert not {name for name in found if name.split(".")[0] in ("simulator", "functions")}


def test_signed_firmware_does_not_import_the_agent() -> None:
    assert not {name for name in loaded(modules("signed_firmware")) if "device_agent" in name}


@pytest.mark.parametrize("package", PACKAGES)
def test_only_the_hub_modules_import_the_device_sdk(package: str) -> None:
    names = [name for name in modules(package) if name.split(".")[1] not in HUB_MODULES]
    assert not {name for name in loaded(names) if name.startswith("azure.")}
