"""Check that setting the device's clock takes no time from its download.

Today a clock that is set from 1970, or two hours without power, ends the download as `tooSlow`
without one request.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest

from device_agent.update import FirmwareStatus
from tests.cases.steps import require
from tests.device_agent.bench_device import Bench, VirtualClock
from tests.device_agent.volatile_disk import PowerLossError


class _WrongClock(VirtualClock):
    wall = datetime(1970, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.wall + timedelta(seconds=self.seconds)


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="E1: powered time counts")
def test_a_clock_that_is_set_between_two_starts_takes_no_time_from_the_download() -> None:
    bench = Bench()
    clock = _WrongClock(bench.power)
    bench.clock = clock
    bench.power.back(24)
    with pytest.raises(PowerLossError):
        bench.run_once(bench.payload)
    bench.disk.lose_power(random.Random(1))  # noqa: S311 - a reproducible loss
    bench.power.back(None)
    clock.wall = datetime(2026, 12, 1, tzinfo=UTC)
    bench.run()
    require(bool(bench.reports), "the device reported")
    assert bench.reports[-1].status is FirmwareStatus.COMPLETED, f"{bench.reports[-1]}"
