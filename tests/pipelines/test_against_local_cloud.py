"""The pipelines' script as a process of its own, against the whole local cloud."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from simulator.azurite import EXECUTABLE
from simulator.cloud.connected_devices import (
    connect_devices,
    device_ids,
    simulated_device_factory,
)
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.hub.loopback import free_address
from simulator.paths import REPOSITORY
from simulator.simulated_device.simulated_updates import UpdateSettings

SECONDS = 90


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not EXECUTABLE.exists():
        pytest.skip("Azurite is not installed: run `make setup`")
    options = CloudOptions(
        address=free_address(),
        local_directory=tmp_path_factory.mktemp("local"),
        advance_schedule="* * * * * *",
    )
    settings = UpdateSettings(stage_delay=timedelta(seconds=0.2))
    with (
        run_cloud(options),
        connect_devices(
            Registration(options), device_ids(2), simulated_device_factory(options, settings)
        ),
    ):
        yield options.api_url


def run_script(api: str, device_id: str, build: str) -> subprocess.CompletedProcess[str]:
    firmware = ("--version", "2.4.0", "--package-uri", "https://packages.example/fw.bin")
    run = ("--device", device_id, "--idempotency-key", build, "--timeout-seconds", "60")
    return subprocess.run(
        # -I: without this project's packages, as on a build agent.
        [sys.executable, "-I", "pipelines/rollout.py", "--api", api, *firmware, *run],
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_build_rolls_out_once_however_often_it_runs(api: str) -> None:
    first = run_script(api, "thermostat-1", "build-1")
    again = run_script(api, "thermostat-1", "build-1")

    assert first.returncode == 0, first.stdout + first.stderr
    assert "completed: 1 completed of 1 device" in first.stdout
    assert again.returncode == 0, again.stdout + again.stderr
    assert rollout_id(first.stdout) == rollout_id(again.stdout)


def test_a_refused_build_logs_the_reason(api: str) -> None:
    refused = run_script(api, "unregistered", "build-2")

    assert refused.returncode == 2
    assert "/target/deviceIds/0" in refused.stdout


def test_the_same_build_with_another_target_is_refused(api: str) -> None:
    run_script(api, "thermostat-1", "build-3")

    other = run_script(api, "thermostat-2", "build-3")

    assert other.returncode == 2
    assert "409" in other.stdout


def rollout_id(output: str) -> str:
    return output.partition("rollout ")[2].partition(":")[0]
