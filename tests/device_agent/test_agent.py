"""Test the agent's responses, its reports and its journal."""

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
from device_agent.ports import Deferral, Writer
from device_agent.update import Update
from tests.device_agent.bench_device import NEW, OLD, Bench
from tests.device_agent.volatile_disk import PowerLossError, VolatileDisk

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


def test_an_update_is_reported_in_three_patches() -> None:
    bench = Bench()
    bench.run()
    bench.reports.clear()
    (response,) = bench.run(bench.payload)
    assert (response.status, response.payload) == (200, STARTED)
    assert [report.status for report in bench.reports] == ["downloading", "applying", "completed"]
    assert bench.twin["firmwareVersion"] == NEW
    assert update(bench)["progressPercent"] == 100


def test_a_restart_without_an_update_reports_nothing() -> None:
    bench = Bench()
    bench.run(bench.payload)
    bench.reports.clear()
    bench.run_once()
    assert bench.reports == []


def test_progress_is_reported_in_the_configured_steps() -> None:
    bench = Bench(progress_step_percent=20)
    bench.run(bench.payload)
    percents = [report.patch["firmwareUpdate"]["progressPercent"] for report in bench.reports[1:]]
    assert percents == [0, 20, 40, 50, 100]


def test_the_same_attempt_never_starts_twice() -> None:
    bench = Bench()
    bench.run(bench.payload)
    sent = bench.server.sent
    for _ in range(2):
        (response,) = bench.run(bench.payload)
        assert response.payload == STARTED
    assert bench.server.sent == sent
    assert bench.restarts == 1


def test_a_second_update_gets_409_while_one_is_under_way() -> None:
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
        {"attempt": 2**60},
    ],
)
def test_an_invalid_payload_is_refused_and_nothing_starts(wrong: Any) -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload | wrong).status == 400
    assert not agent.has_work
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200


def test_a_deferred_update_may_come_again_with_the_same_attempt() -> None:
    bench = Bench(deferral=Deferral(code="lowBattery", message="the battery is at 9 %"))
    (response,) = bench.run(bench.payload)
    assert (response.status, response.payload["deferred"]) == (409, "lowBattery")
    bench.deferral = None
    bench.run(bench.payload)
    assert bench.twin["firmwareVersion"] == NEW


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


def test_an_update_gets_409_until_the_end_of_the_last_one_is_reported() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    agent = bench.agent()
    agent.work(lambda _: None)
    report = agent.next_report()
    assert report is not None
    assert report.status == "completed"
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r2"}).status == 409
    agent.acknowledge(report)
    assert agent.invoke("firmwareUpdate", bench.payload | {"rolloutId": "r2"}).status == 200
    assert agent.next_report() is not None


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


def test_any_error_before_the_switch_fails_the_update_but_not_the_device() -> None:
    class Broken(Bench):
        def find_deferral(self) -> Deferral | None:
            if self.server.sent:
                raise ZeroDivisionError
            return None

    bench = Broken()
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "internalError"
    assert bench.twin["firmwareVersion"] == OLD


def test_a_busy_device_delays_its_restart() -> None:
    class Busy(Bench):
        def find_deferral(self) -> Deferral | None:
            at_work = self.server.sent > 0 and self.clock.seconds < 600
            return Deferral(code="busy", message="at work") if at_work else None

    bench = Busy()
    bench.run(bench.payload)
    assert bench.twin["firmwareVersion"] == NEW
    assert bench.clock.seconds >= 600


def test_firmware_that_reports_another_version_is_reverted() -> None:
    bench = Bench()
    bench.run_once(bench.payload)
    image = json.loads(bench.disk.seen["b.json"])
    bench.disk.replace("b.json", json.dumps(image | {"version": "2.3.9"}).encode())
    bench.run()
    assert update(bench)["errorCode"] == "reverted"
    assert "2.3.9" in update(bench)["errorMessage"]
    assert bench.twin["firmwareVersion"] == OLD


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


def test_the_time_limit_of_a_download_includes_restarts() -> None:
    bench = Bench()
    bench.power.back(60)
    with pytest.raises(PowerLossError):
        bench.run_once(bench.payload)
    bench.clock.seconds += bench.limits.max_seconds + 1
    bench.power.back(None)
    bench.run()
    assert update(bench)["errorCode"] == "tooSlow"


def test_a_health_check_that_raises_has_not_passed() -> None:
    class Broken(Bench):
        def find_problem(self) -> str | None:
            raise ZeroDivisionError

    bench = Broken()
    bench.run(bench.payload)
    assert update(bench)["errorCode"] == "reverted"
    assert "ZeroDivisionError" in update(bench)["errorMessage"]
    assert bench.twin["firmwareVersion"] == OLD
