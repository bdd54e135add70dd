"""Test that a download's time limit counts the time while the device has power, and no other."""

import json
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from device_agent.download_limits import DownloadLimits
from device_agent.errors import SwitchedOffError
from device_agent.journal import FILE
from tests.device_agent.bench_device import Bench, VirtualClock
from tests.device_agent.volatile_disk import PowerLossError

TODAY = datetime(2026, 12, 1, tzinfo=UTC)
SLOW = DownloadLimits(bytes_per_second=10, max_seconds=500, sync_bytes=1000)


@dataclass
class WrongClock(VirtualClock):
    """A clock that may be set at any time; its monotonic time starts at 0 with each start."""

    wall: datetime = TODAY
    started_at: float = 0.0

    def now(self) -> datetime:
        return self.wall + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds - self.started_at


def interrupted(
    fails_at: int = 24, limits: DownloadLimits | None = None
) -> tuple[Bench, WrongClock]:
    """Return a device that lost its power during a download, and its clock."""
    bench = Bench(limits=limits or DownloadLimits(sync_bytes=4000))
    clock = WrongClock(bench.power)
    bench.clock = clock
    lose_power(bench, clock, fails_at, bench.payload)
    return bench, clock


def lose_power(
    bench: Bench, clock: WrongClock, fails_at: int, *payloads: dict[str, object]
) -> None:
    """Run until the power is lost, if it is; start again with a new monotonic clock."""
    bench.power.back(fails_at)
    with pytest.raises(PowerLossError):
        bench.run_once(*payloads)
    bench.disk.lose_power(random.Random(1))  # noqa: S311 - a reproducible loss
    bench.power.back(None)
    clock.started_at = clock.seconds


def end(bench: Bench) -> str:
    """Return the status of the last report, or its error's code."""
    bench.run()
    error = bench.reports[-1].error
    return error.code if error else bench.reports[-1].status


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), TODAY),
        (TODAY, TODAY + timedelta(hours=1)),
        (TODAY, TODAY - timedelta(hours=1)),
        (TODAY, datetime(1970, 1, 1, tzinfo=UTC)),
        (TODAY, TODAY + timedelta(hours=2)),
        (datetime(2106, 2, 7, tzinfo=UTC), TODAY),
    ],
    ids=["from 1970", "an hour off", "backwards", "to 1970", "no power for 2 h", "from 2106"],
)
def test_a_clock_that_is_set_between_two_starts_takes_no_time_from_the_download(
    before: datetime, after: datetime
) -> None:
    bench = Bench()
    clock = WrongClock(bench.power, wall=before)
    bench.clock = clock
    lose_power(bench, clock, 24, bench.payload)
    clock.wall = after
    assert end(bench) == "completed"


def test_a_clock_that_is_set_during_the_download_takes_no_time_from_it() -> None:
    class Jumping(WrongClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.wall += timedelta(hours=random.Random(self.seconds).choice([-1, 1, 500_000]))  # noqa: S311

    bench = Bench(limits=replace(SLOW, max_seconds=2000))
    bench.clock = Jumping(bench.power)
    bench.run(bench.payload)
    assert bench.twin["firmwareStatus"] == "completed"


def test_time_without_the_hub_before_the_download_does_not_count() -> None:
    bench = Bench()
    agent = bench.agent()
    assert agent.invoke("firmwareUpdate", bench.payload).status == 200
    bench.clock.seconds += 10 * bench.limits.max_seconds  # the hub takes no report
    assert end(bench) == "completed"


def test_the_time_of_all_starts_counts() -> None:
    """Take 100 s for each of 10 chunks, over as many starts."""
    bench, clock = interrupted(limits=SLOW)
    for _ in range(20):
        if "failed" in [report.status for report in bench.reports]:
            break
        bench.power.back(18)
        try:
            bench.run_once()
        except PowerLossError:
            clock.started_at = clock.seconds
    error = bench.reports[-1].error
    assert error is not None
    assert error.code == "tooSlow"
    assert len(bench.versions_run) > 2
    assert clock.seconds >= SLOW.max_seconds


def test_a_stopped_device_records_the_time_of_its_download() -> None:
    class Stopping(WrongClock):
        def sleep(self, seconds: float) -> None:
            self.seconds += min(seconds, 20)
            raise SwitchedOffError

    bench = Bench(limits=SLOW)
    bench.clock = Stopping(bench.power)
    with pytest.raises(SwitchedOffError):
        bench.run_once(bench.payload)
    assert json.loads(bench.disk.seen[FILE])["job"]["download_seconds"] == 20


def test_a_long_wait_for_the_server_is_recorded() -> None:
    bench, clock = interrupted(60, limits=replace(SLOW, max_attempts=100, bytes_per_second=None))
    bench.server.cuts = [0] * 100
    lose_power(bench, clock, 60)
    assert json.loads(bench.disk.seen[FILE])["job"]["download_seconds"] > 30


def test_a_journal_of_an_older_agent_has_all_the_time() -> None:
    bench, _ = interrupted()
    journal = json.loads(bench.disk.seen[FILE])
    del journal["job"]["download_seconds"], journal["ended"]
    bench.disk.replace(FILE, json.dumps(journal).encode())
    assert end(bench) == "completed"
