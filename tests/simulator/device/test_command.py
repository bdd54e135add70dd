"""The command `device`, as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from simulator.azurite import REPOSITORY
from simulator.hub import LocalHub
from tests.simulator.device.fleet_owner import FleetOwner

SECONDS = 20


@contextmanager
def device_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "device", *arguments],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_runs_an_update_and_leaves_on_sigterm(
    hub: LocalHub, owner: FleetOwner, device_id: str
) -> None:
    string = hub.create_device(device_id)
    arguments = ("--connection-string", string, "--ca", str(hub.ca_file), "--stage-seconds", "0.05")
    with device_process(*arguments) as process:
        owner.wait_for(device_id, "standBy")
        payload = {"fwPackageUri": "test.com", "rolloutId": "r1", "attempt": 1, "version": "2.4.0"}
        assert owner.invoke(device_id, payload)[0] == 200
        owner.wait_for(device_id, "completed")

        process.terminate()
        output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 0
    assert f"{device_id} downloading 2.4.0 (rollout r1, attempt 1)" in output
    assert output.splitlines()[-1].endswith(f"{device_id} stopped")
    assert string.partition("SharedAccessKey=")[2] not in output


@pytest.mark.parametrize(
    "string",
    [
        "HostName=localhost",
        "HostName=localhost;DeviceId=d1;SharedAccessKey=not base64!",
        "HostName=localhost:8883;DeviceId=d1;SharedAccessKey=bm90LWEtc2VjcmV0",
    ],
)
def test_a_string_it_cannot_use_is_wrong_usage(string: str) -> None:
    with device_process("--connection-string", string) as process:
        output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 2
    assert "error: " in output
    assert "Traceback" not in output
    assert "not base64!" not in output
