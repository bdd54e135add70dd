"""The package that Azure runs, built as `make package` does, works without anything beside it."""

import platform
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import infra.deploy
from infra.package import SITE_PACKAGES, build
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.registration import Registration
from simulator.paths import LOCAL_DIRECTORY, REPOSITORY
from simulator.simulated_device.device_thread import DeviceThread
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.fleet import Fleet

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the package is built for Linux on x86-64",
)
_LIST_FUNCTIONS = """
import sys
sys.path[:0] = sys.argv[1:]
import function_app
print([name for name in sys.modules if name.startswith(("opentelemetry", "azure.monitor"))])
print(*sorted(item.get_function_name() for item in function_app.app.get_functions()))
"""


@pytest.fixture(scope="module")
def app() -> Path:
    return build(LOCAL_DIRECTORY / "package")


def test_it_holds_the_app_and_exactly_the_pinned_dependencies(app: Path) -> None:
    assert {path.name for path in app.iterdir()} == {
        ".python_packages", "function_app.py", "functions", "host.json", "requirements.txt",
    }  # fmt: skip
    text = (REPOSITORY / "requirements.txt").read_text()
    pinned = {_normalized(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    installed = (app / SITE_PACKAGES).glob("*.dist-info")
    assert {_normalized(path.name.split("-")[0]) for path in installed} == pinned


def test_it_imports_nothing_from_outside(app: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", _LIST_FUNCTIONS]
    folders = [str(app), str(app / SITE_PACKAGES)]
    done = subprocess.run(
        [*command, *folders], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    telemetry, functions = done.stdout.splitlines()
    assert {"advance_rollouts", "dispatch_batch", "give_up_batch"} <= set(functions.split())
    assert telemetry == "[]", "without a destination, no package for telemetry is imported"


def test_a_rollout_completes_on_it(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(app / SITE_PACKAGES))  # before the packages of the tests
    options = replace(make_options(tmp_path), app_directory=app)
    with run_cloud(options) as cloud, DeviceThread() as thread:
        Fleet(options, thread, Registration(options)).start("thermostat-1")
        api = Api(options)
        assert api.wait_for_end(api.create("thermostat-1"))["status"] == "completed"
        deployed = infra.deploy.App(options.api_url, key="", upload=lambda _: False)
        assert deployed.find_problem() is None, "the workflow would put another package back"
        loaded = Path(f"/proc/{cloud.host.pid}/maps").read_text()
    assert str(app / SITE_PACKAGES / "pydantic_core") in loaded
    assert (app / "functions/__pycache__").exists()  # of this folder's source


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
