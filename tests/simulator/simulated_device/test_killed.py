"""Test the command `device` with a directory, killed by SIGKILL repeatedly during an update."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from device_agent.disk import FolderStorage
from simulator.hub import LocalHub
from simulator.paths import REPOSITORY
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.simulator.simulated_device.package_server import SECRET, package_server
from tests.waiting import eventually

KILLS = 6
PACKAGE = random.Random(3).randbytes(1_500_000)  # noqa: S311 - any bytes


@contextmanager
def device_process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "device", *arguments],
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_device_continues_its_download_and_completes(
    hub: LocalHub, owner: FleetOwner, device_id: str, tmp_path: Path
) -> None:
    string = hub.create_device(device_id)
    disk, log = FolderStorage(tmp_path / "device"), tmp_path / "log"
    arguments = ["--connection-string", string, "--ca", str(hub.ca_file)]
    arguments += ["--directory", str(disk.path), "--bytes-per-second", "1000000"]
    with package_server(PACKAGE) as server:
        payload = {
            "fwPackageUri": server.url,
            "rolloutId": "r1",
            "attempt": 1,
            "version": "2.4.0",
            "sha256": server.sha256,
            "sizeBytes": len(PACKAGE),
        }
        with device_process(log, *arguments):
            owner.wait_for(device_id, "standBy")
            assert owner.invoke(device_id, payload)[0] == 200
            eventually(lambda: disk.size("package") > 100_000, what="some of it")
        for _ in range(KILLS):
            goal = disk.size("package") + 150_000
            with device_process(log, *arguments):
                eventually(partial(_has_reached, disk, goal), what="more")
        with device_process(log, *arguments):
            reported = owner.wait_for(device_id, "completed")

    assert reported["firmwareVersion"] == "2.4.0"
    assert server.offsets == sorted(set(server.offsets)), "something was downloaded again"
    assert len(server.offsets) > 3
    assert max(disk.path.glob("*.image"), key=lambda path: path.stat().st_size).read_bytes() == (
        PACKAGE
    )
    assert SECRET not in log.read_text()


def _has_reached(disk: FolderStorage, max_package_bytes: int) -> bool:
    return disk.size("package") > max_package_bytes or disk.size("b.image") == len(PACKAGE)
