"""Build the package that Azure runs: the app, and its dependencies for Python 3.13 on Linux.

`python -m infra.package FOLDER` writes `FOLDER/app` and `FOLDER/app.zip`. Flex Consumption runs the
package as it is, without a build in Azure, so that what was tested is what runs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

REPOSITORY = Path(__file__).resolve().parent.parent
# The folder from which the Functions worker imports dependencies.
SITE_PACKAGES = ".python_packages/lib/site-packages"
_PIP_OPTIONS = (
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--python-version", "3.13", "--only-binary", ":all:"),
    *("--no-compile", "--disable-pip-version-check", "--quiet"),
)


def build(folder: Path) -> Path:
    """Build the package in `folder`; return the folder of the app. Dependencies are kept."""
    app, kept = folder / "app", folder / "site-packages"
    shutil.rmtree(app, ignore_errors=True)
    for name in uploaded_files(REPOSITORY):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, app / name)
    _install(kept, folder / "installed.txt")
    shutil.copytree(kept, app / SITE_PACKAGES)
    shutil.make_archive(str(folder / "app"), "zip", app)
    return app


def uploaded_files(root: Path) -> Iterator[Path]:
    """Yield the files that .funcignore does not leave out, relative to `root`."""
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    for path, folders, files in os.walk(root):
        here = Path(path).relative_to(root)
        folders[:] = [name for name in folders if not ignored.match_file(f"{here / name}/")]
        for name in files:
            if name != ".funcignore" and not ignored.match_file(here / name):
                yield here / name


def _install(target: Path, stamp: Path) -> None:
    """Install the dependencies, unless the same ones are there from an earlier build."""
    requirements = REPOSITORY / "requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    shutil.rmtree(target, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--target", str(target), *_PIP_OPTIONS]
    subprocess.run([*pip, "-r", str(requirements)], check=True)  # noqa: S603 - fixed arguments
    stamp.write_text(requirements.read_text())


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve()))
