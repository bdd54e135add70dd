"""The command `up`: what it prints works, and a process that ends early ends it."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from simulator.cloud.rollout_service import RolloutService
from tests.simulator.cloud.conftest import Start
from tests.waiting import eventually

SECONDS = 60


def read_guide(process: subprocess.Popen[str]) -> str:
    """Return the guide that `up` prints."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "--connection-string" in line:
            break
    return "".join(lines)


def test_a_second_run_knows_devices_and_rollouts_of_the_first_that_ctrl_c_stopped(
    start: Start, address: str
) -> None:
    api = f"http://{address}:7071/api"
    service = RolloutService(api)
    options = ("--devices", "2", "--fail", "50%", "--stage-seconds", "0.2")
    command = ("up", *options, "--advance-schedule", "* * * * * *")
    first = start(*command)
    guide = read_guide(first)
    assert "The updates of 50% of them fail" in guide
    assert f"{api}/rollouts" in guide
    assert "SharedAccessKeyName=iothubowner" in guide
    firmware = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}
    body = {"firmware": firmware, "target": {"condition": "is_defined(deviceId)"}}
    rollout_id = service.create(body)["id"]
    ended = {"completed", "failed", "paused"}
    eventually(
        lambda: service.rollout(rollout_id)["status"] in ended, what="ended", seconds=SECONDS
    )
    counts = service.rollout(rollout_id)["counts"]
    assert (counts["completed"], counts["failed"]) == (1, 1)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=SECONDS)
    assert first.returncode == 0

    read_guide(start(*command))

    assert service.rollout(rollout_id)["counts"] == counts
    again = service.create(body)["id"]
    eventually(lambda: service.rollout(again)["status"] in ended, what="ended", seconds=SECONDS)
    assert service.rollout(again)["counts"]["skipped"] == 1  # it runs the version already


def test_with_install_the_printed_rollout_is_installed_until_a_process_ends_early(
    start: Start, address: str, tmp_path: Path
) -> None:
    schedule = ("--advance-schedule", "* * * * * *")
    up = start("up", "--install", "--stage-seconds", "0.2", *schedule)
    guide = read_guide(up)
    printed = re.search(r"-d '(\{.*?\})'", guide, re.DOTALL)
    assert printed is not None
    service = RolloutService(f"http://{address}:7071/api")
    rollout_id = service.create(json.loads(printed[1]))["id"]

    eventually(lambda: service.rollout(rollout_id)["status"] == "completed", what="completed")
    assert (tmp_path / "devices/thermostat-1/b.image").stat().st_size > 100_000

    os.kill(functions_host(address), signal.SIGKILL)

    output, _ = up.communicate(timeout=SECONDS)
    assert up.returncode == 1
    assert "the Functions host ended with code -9" in output
    assert str(tmp_path / "logs" / "host.log") in output


def functions_host(address: str) -> int:
    """Return the process id of the Functions host on this address."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                arguments = (folder / "cmdline").read_text().split("\0")
                if "host" in arguments and address in arguments:
                    return int(folder.name)
    raise AssertionError(f"no Functions host on {address}")
