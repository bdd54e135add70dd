"""Throttles and the daily quota, with a clock that is passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.metering import METER_BYTES, DailyMessages, Operation, blocks
from simulator.hub.model.quotas import BACKLOG_SECONDS, LIMITS, Quota, Throttle, Throttles, Tier
from simulator.hub.model.traffic import Traffic
from tests.simulator.hub.builders import NOW, ManualClock

S1 = Quota(tier=Tier.S1)

arrivals = st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5)), min_size=1, max_size=120)
"""Seconds since the one before, and the cost."""


@given(arrivals, st.floats(0.5, 50), st.integers(5, 20), st.floats(0, 20))
def test_no_window_sees_more_than_the_burst_and_the_rate(
    steps: list[tuple[float, int]], per_second: float, burst: int, backlog: float
) -> None:
    throttle = Throttle(per_second=per_second, burst=burst, backlog_seconds=backlog)
    now, begun = 0.0, list[tuple[float, int]]()
    for step, cost in steps:
        now += step
        wait = throttle.take(now, cost)
        if wait is not None:
            begun.append((now + wait, cost))
    for first in range(len(begun)):
        total = 0
        for begins, cost in begun[first:]:
            total += cost
            window = begins - begun[first][0]
            assert total <= burst + per_second * window + 1e-6


@given(arrivals, st.floats(0.5, 50), st.integers(5, 20), st.floats(0, 20))
def test_admitted_operations_begin_in_order_and_within_the_backlog(
    steps: list[tuple[float, int]], per_second: float, burst: int, backlog: float
) -> None:
    throttle = Throttle(per_second=per_second, burst=burst, backlog_seconds=backlog)
    now, last = 0.0, 0.0
    for step, cost in steps:
        now += step
        wait = throttle.take(now, cost)
        if wait is not None:
            assert 0 <= wait <= backlog
            assert now + wait >= last - 1e-9
            last = now + wait


@given(arrivals, st.floats(0.5, 50), st.integers(5, 20))
def test_the_burst_is_available_again_after_a_pause(
    steps: list[tuple[float, int]], per_second: float, burst: int
) -> None:
    throttle = Throttle(per_second=per_second, burst=burst, backlog_seconds=10)
    now = 0.0
    for step, cost in steps:
        now += step
        throttle.take(now, cost)
    # Refused operations leave nothing behind: the queue is empty when its own time is over.
    assert throttle.take(now + 10 + burst / per_second, burst) == pytest.approx(0, abs=1e-6)


def test_a_burst_is_served_at_once_then_shaped_then_refused() -> None:
    throttle = Throttle(per_second=10, burst=10, backlog_seconds=1)
    waits = [throttle.take(NOW) for _ in range(25)]
    assert waits[:10] == [0] * 10
    assert waits[10:20] == pytest.approx([0.1 * number for number in range(1, 11)])
    assert waits[20:] == [None] * 5


@pytest.mark.parametrize(
    ("quota", "operation", "allowance"),
    [
        (S1, Operation.METHOD, 40),
        (Quota(tier=Tier.S1, units=3), Operation.METHOD, 120),
        (Quota(tier=Tier.S3), Operation.METHOD, 6144),
        (Quota(tier=Tier.S1, units=9), Operation.TWIN_READ, 100),
        (Quota(tier=Tier.S2, units=9), Operation.TWIN_READ, 100),
        (Quota(tier=Tier.S2, units=11), Operation.TWIN_READ, 110),
        (Quota(tier=Tier.S2, units=11), Operation.TWIN_UPDATE, 55),
        (Quota(tier=Tier.S3, units=2), Operation.TWIN_READ, 1000),
        (Quota(tier=Tier.S1, units=9), Operation.CONNECT, 108),
        (Quota(tier=Tier.S1, units=2), Operation.QUERY, 40),
        (Quota(tier=Tier.S3), Operation.QUERY, 1000),
        (S1, Operation.JOB_DEVICE, 10),
        (Quota(tier=Tier.S2, units=12), Operation.JOB_DEVICE, 12),
        (Quota(tier=Tier.F1), Operation.REGISTRY, 100),
    ],
)
def test_limits_are_those_of_the_page(quota: Quota, operation: Operation, allowance: int) -> None:
    assert quota.limit(operation).allowance(quota.units) == allowance


@pytest.mark.parametrize("tier", Tier)
def test_every_operation_has_a_limit_in_every_tier(tier: Tier) -> None:
    throttles = Throttles(Quota(tier=tier))
    assert all(throttles.take(operation, NOW) == 0 for operation in Operation)
    assert all(limit.allowance(1) > 0 for row in LIMITS.values() for limit in row)


def test_devices_and_services_share_the_twin_limits() -> None:
    throttles = Throttles(S1)
    for _ in range(50):
        assert throttles.take(Operation.TWIN_READ, NOW) == 0
        assert throttles.take(Operation.DEVICE_TWIN_READ, NOW) == 0
    assert throttles.take(Operation.DEVICE_TWIN_READ, NOW) == pytest.approx(0.01)
    assert throttles.take(Operation.TWIN_UPDATE, NOW) == 0


def test_a_scale_of_ten_makes_a_minute_six_seconds() -> None:
    throttles = Throttles(Quota(tier=Tier.S1, scale=10))
    for _ in range(20):
        assert throttles.take(Operation.QUERY, NOW) == 0
    assert throttles.take(Operation.QUERY, NOW) == pytest.approx(0.3)
    assert throttles.take(Operation.QUERY, NOW + 6 + 0.3) == 0


@pytest.mark.parametrize(
    ("units", "tier", "scale"),
    [(0, Tier.S1, 1), (2, Tier.F1, 1), (1, Tier.S1, 0), (1, Tier.S1, -1)],
)
def test_an_impossible_quota_is_refused(units: int, tier: Tier, scale: float) -> None:
    with pytest.raises(ValueError, match=r"units|scale"):
        Quota(tier=tier, units=units, scale=scale)


@pytest.mark.parametrize(
    ("size", "count"), [(0, 1), (1, 1), (METER_BYTES, 1), (METER_BYTES + 1, 2), (262_144, 64)]
)
def test_a_message_is_counted_in_begun_blocks(size: int, count: int) -> None:
    assert blocks(size) == count


def test_the_days_messages_are_reset_at_midnight_utc() -> None:
    daily = DailyMessages(limit=2)
    assert daily.charge(86_399.0, METER_BYTES + 1) == 2
    assert daily.is_used_up(86_399.9)
    assert not daily.is_used_up(86_400.0)
    assert daily.used_messages(86_400.0) == 0


class TestTheGate:
    def traffic(self, quota: Quota | None = S1) -> tuple[Traffic, ManualClock]:
        clock = ManualClock()
        return Traffic(clock, quota), clock

    def test_without_a_quota_operations_are_only_counted(self) -> None:
        traffic, _clock = self.traffic(None)
        assert all(traffic.admit(Operation.QUERY) == 0 for _ in range(1000))
        assert traffic.counters.operations[Operation.QUERY] == 1000
        assert traffic.counters.throttled[Operation.QUERY] == 0

    def test_refused_operations_are_counted_separately(self) -> None:
        traffic, clock = self.traffic()
        waits = [traffic.admit(Operation.QUERY) for _ in range(23)]
        assert waits == pytest.approx([0] * 20 + [3, 6, 9])
        with pytest.raises(HubError) as error:
            traffic.admit(Operation.QUERY)
        assert error.value.code is ErrorCode.THROTTLING_EXCEPTION
        counters = traffic.counters
        assert counters.operations[Operation.QUERY] == 23
        assert counters.delayed[Operation.QUERY] == 3
        assert counters.throttled[Operation.QUERY] == 1
        clock.advance(BACKLOG_SECONDS)
        assert traffic.admit(Operation.QUERY) <= BACKLOG_SECONDS

    def test_a_used_up_day_refuses_only_operations_that_count_as_messages(self) -> None:
        traffic, clock = self.traffic(Quota(tier=Tier.F1))
        traffic.meter(8_000 * 512)
        with pytest.raises(HubError) as error:
            traffic.admit(Operation.TWIN_READ)
        assert error.value.code is ErrorCode.IOT_HUB_QUOTA_EXCEEDED
        assert traffic.counters.over_quota == 1
        assert traffic.admit(Operation.REGISTRY) == 0
        assert traffic.admit(Operation.CONNECT) == 0
        clock.advance(86_400)
        assert traffic.admit(Operation.TWIN_READ) == 0
