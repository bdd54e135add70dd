"""Test the agent on disks that fail, and with journals that are damaged or newer."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from device_agent.journal import Journal
from device_agent.offer import Offer
from device_agent.ports import Writer
from device_agent.update import Update
from tests.device_agent.bench_device import NEW, OLD, Bench
from tests.device_agent.volatile_disk import VolatileDisk

STARTED = {"Response": "Firmware update started"}


@dataclass
class FailingDisk(VolatileDisk):
    """A disk whose writes fail with `code` after `after` more."""

    code: int = errno.EIO
    after: int = 1 << 30
    unwritable: str | None = None
    full_while: str | None = None
    """Replacing a file fails while this file exists."""

    def append_raw(self, name: str, content: bytes) -> None:
        self.seen[name], self.kept[name] = bytearray(content), content

    def replace(self, name: str, content: bytes) -> None:
        self._count()
        if name == self.unwritable:
            raise OSError(errno.EIO, "broken")
        if self.full_while in self.seen:
            raise OSError(errno.ENOSPC, "full")
        super().replace(name, content)

    @contextmanager
    def append(self, name: str, offset: int) -> Iterator[Writer]:
        with super().append(name, offset) as file:
            self._count()
            yield file

    def _count(self) -> None:
        self.after -= 1
        if self.after < 0:
            raise OSError(self.code, os.strerror(self.code))


def update(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = bench.twin["firmwareUpdate"]
    return found


def test_an_update_that_cannot_be_journaled_is_deferred() -> None:
    bench = Bench()
    bench.run()
    bench.disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    agent = bench.agent()
    assert isinstance(bench.disk, FailingDisk)
    bench.disk.after = 0
    response = agent.invoke("firmwareUpdate", bench.payload)
    assert (response.status, response.payload["deferred"]) == (409, "storageFailed")
    assert not agent.has_work


def test_a_leftover_package_is_deleted_for_the_next_update() -> None:
    bench = Bench()
    bench.run()
    disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    disk.append_raw("package", b"left over")
    bench.disk, disk.full_while = disk, "package"
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200


@pytest.mark.parametrize(("code", "told"), [("ENOSPC", "noSpace"), ("EIO", "storageFailed")])
def test_a_disk_that_fails_during_a_download_is_reported(code: str, told: str) -> None:
    bench = Bench()
    bench.run()
    disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    disk.code, bench.disk = getattr(errno, code), disk
    agent = bench.agent()
    agent.invoke("firmwareUpdate", bench.payload)
    report = agent.next_report()
    assert report is not None
    agent.acknowledge(report)
    disk.after = 1
    with pytest.raises(OSError, match=os.strerror(disk.code)):
        agent.work(lambda _: None)  # not even the failure can be recorded
    disk.after = 1 << 30
    disk.space = 0 if code == "ENOSPC" else disk.space
    bench.run()
    assert update(bench).get("errorCode") == ("noSpace" if code == "ENOSPC" else None), told
    assert bench.twin["firmwareVersion"] == (OLD if code == "ENOSPC" else NEW)


def test_a_package_that_does_not_fit_is_refused_before_it_is_written() -> None:
    bench = Bench()
    bench.run()
    bench.disk.space = 12_000
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "noSpace"
    assert bench.server.sent == 0


def test_a_damaged_journal_does_not_prevent_a_start() -> None:
    bench = Bench()
    bench.run(bench.payload)
    bench.disk.replace("journal.json", b'{"job": 5}')
    bench.run(bench.payload | {"rolloutId": "r2"})
    assert update(bench)["rolloutId"] == "r2"
    assert bench.twin["firmwareStatus"] == "completed"


def test_the_journal_remembers_the_latest_rollouts_only() -> None:
    disk = VolatileDisk()
    for number in range(1, 100):
        update = Update(rollout_id=f"r{number}", attempt=number)
        offer = Offer(update=update, url="https://packages.example/fw.bin")
        Journal(disk).begin(offer, datetime.now(UTC))
    attempts = Journal(disk).attempts
    assert attempts == {f"r{number}": number for number in range(68, 100)}


def test_an_unwritable_boot_record_fails_the_update_but_not_the_device() -> None:
    bench = Bench()
    bench.run()
    disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    disk.unwritable, bench.disk = "boot.json", disk
    bench.limits = replace(bench.limits, max_package_bytes=1 << 20)
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "storageFailed"
    disk.unwritable = None
    bench.run(bench.payload | {"attempt": 2})
    assert bench.twin["firmwareVersion"] == NEW


@pytest.mark.parametrize("health_problem", [None, "no sensor responds"])
def test_a_trial_ends_even_if_the_journal_is_lost(health_problem: str | None) -> None:
    bench = Bench(health_problem=health_problem)
    bench.run_once(bench.payload)
    bench.disk.replace("journal.json", b"spoiled")
    assert bench.agent().invoke("firmwareUpdate", bench.payload).status == 409
    bench.run()
    bench.run_once()
    assert bench.twin["firmwareVersion"] == (OLD if health_problem else NEW)
    assert bench.agent().is_on_trial is False


def test_the_journal_of_a_newer_agent_is_read() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    found = json.loads(bench.disk.seen["journal.json"])
    found["later"], found["job"]["later"], found["job"]["offer"]["later"] = 1, 2, 3
    del found["job"]["error"]
    bench.disk.replace("journal.json", json.dumps(found).encode())
    bench.run()
    assert bench.twin["firmwareStatus"] == "completed"


def test_a_damaged_update_in_the_journal_does_not_lose_attempts_and_sequence() -> None:
    disk = VolatileDisk()
    content = {"job": {"phase": "unheard of"}, "attempts": {"r1": 2}, "highest_sequence": 7}
    disk.replace("journal.json", json.dumps(content).encode())
    found = Journal(disk)
    assert (found.job, found.attempts, found.highest_sequence) == (None, {"r1": 2}, 7)
