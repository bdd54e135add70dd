"""The agent's manners: what it answers, what it remembers, and how little it tells."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from simulator.device.agent.journal import Journal
from simulator.device.agent.offer import Offer
from simulator.device.agent.ports import Deferral, Writer
from simulator.device.update import Update
from tests.simulator.device.agent.bench_device import NEW, OLD, Bench
from tests.simulator.device.agent.volatile import VolatileDisk

STARTED = {"Response": "Firmware update started"}


@dataclass
class FailingDisk(VolatileDisk):
    """Writes fail with `code` once `after` more have been made."""

    code: int = errno.EIO
    after: int = 1 << 30

    def replace(self, name: str, content: bytes) -> None:
        self._count()
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


def test_an_update_is_told_in_three_patches() -> None:
    bench = Bench()
    bench.run()
    bench.told.clear()
    (answer,) = bench.run(bench.payload)
    assert (answer.status, answer.payload) == (200, STARTED)
    assert [report.status for report in bench.told] == ["downloading", "applying", "completed"]
    assert bench.twin["firmwareVersion"] == NEW
    assert update(bench)["progressPercent"] == 100


def test_a_restart_without_an_update_tells_nothing() -> None:
    bench = Bench()
    bench.run(bench.payload)
    bench.told.clear()
    bench.live()
    assert bench.told == []


def test_progress_comes_in_the_steps_that_are_wanted() -> None:
    bench = Bench(progress_step_percent=20)
    bench.run(bench.payload)
    percents = [report.patch["firmwareUpdate"]["progressPercent"] for report in bench.told[1:]]
    assert percents == [0, 20, 40, 50, 100]


def test_the_same_attempt_again_starts_nothing_ever_after() -> None:
    bench = Bench()
    bench.run(bench.payload)
    sent = bench.server.sent
    for _ in range(2):
        (answer,) = bench.run(bench.payload)
        assert answer.payload == STARTED
    assert bench.server.sent == sent
    assert bench.restarts == 1


def test_while_one_update_is_under_way_another_one_waits() -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200
    assert agent.invoke("firmwareUpdate", bench.payload | {"attempt": 2}).status == 409
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200
    assert agent.invoke("reboot", {}).status == 501


@pytest.mark.parametrize(
    "wrong",
    [
        {"fwPackageUri": " "},
        {"fwPackageUri": "http://[x"},
        {"fwPackageUri": "?sig=secret"},
        {"sha256": "abc"},
        {"sha256": 5},
        {"sizeBytes": 0},
        {"sizeBytes": True},
        {"manifest": ["x"]},
        {"attempt": "one"},
        {"version": "9" * 513},
        {"rolloutId": "r" * 513},
    ],
)
def test_a_payload_that_cannot_be_used_is_refused_and_nothing_begins(wrong: Any) -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload | wrong).status == 400
    assert not agent.has_work
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200


def test_a_deferred_update_may_come_again_with_the_same_attempt() -> None:
    bench = Bench(not_now=Deferral(code="lowBattery", message="the battery is at 9 %"))
    (answer,) = bench.run(bench.payload)
    assert (answer.status, answer.payload["deferred"]) == (409, "lowBattery")
    bench.not_now = None
    bench.run(bench.payload)
    assert bench.twin["firmwareVersion"] == NEW


def test_an_offer_that_cannot_be_written_down_is_not_accepted() -> None:
    bench = Bench()
    bench.run()
    bench.disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    agent = bench.agent()
    assert isinstance(bench.disk, FailingDisk)
    bench.disk.after = 0
    assert agent.invoke("firmwareUpdate", bench.payload).status == 500
    assert not agent.has_work


@pytest.mark.parametrize(("code", "told"), [("ENOSPC", "noSpace"), ("EIO", "storageFailed")])
def test_a_disk_that_fails_in_a_download_is_told(code: str, told: str) -> None:
    bench = Bench()
    bench.run()
    disk = FailingDisk(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    disk.code, bench.disk = getattr(errno, code), disk
    agent = bench.agent()
    agent.invoke("firmwareUpdate", bench.payload)
    report = agent.owed()
    assert report is not None
    agent.told(report)
    disk.after = 1
    with pytest.raises(OSError, match=os.strerror(disk.code)):
        agent.work(lambda _: None)  # not even the failure can be written down
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


def test_a_spoiled_journal_does_not_keep_a_device_from_starting() -> None:
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
        Journal(disk).begin(Offer(update=update, url="https://packages.example/fw.bin"))
    attempts = Journal(disk).attempts
    assert attempts == {f"r{number}": number for number in range(68, 100)}


def test_an_update_that_comes_before_the_hub_has_heard_of_the_last_end_waits() -> None:
    bench = Bench()
    bench.live(bench.payload)
    agent = bench.agent()
    agent.work(lambda _: None)
    report = agent.owed()
    assert report is not None
    assert report.status == "completed"
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r2"}).status == 409
    agent.told(report)
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r2"}).status == 200
    assert agent.owed() is not None


def test_firmware_that_is_confirmed_is_never_told_as_failed_for_a_broken_disk() -> None:
    class Undeletable(VolatileDisk):
        def delete(self, name: str) -> None:
            if name == "package" and self.size("b.image"):
                raise OSError(errno.EIO, "broken")
            super().delete(name)

    bench = Bench()
    bench.live(bench.payload)
    bench.disk = Undeletable(bench.power, kept=bench.disk.kept, seen=bench.disk.seen)
    agent = bench.agent()
    with pytest.raises(OSError, match="broken"):
        agent.work(lambda _: None)
    bench.live()
    assert bench.told[-1].status == "completed"


def test_a_broken_health_check_is_a_check_not_passed() -> None:
    class Broken(Bench):
        def problem(self) -> str | None:
            raise ZeroDivisionError

    bench = Broken()
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "reverted"
    assert "ZeroDivisionError" in update(bench)["errorMessage"]
    assert bench.twin["firmwareVersion"] == OLD
