"""The shortest duration of a rollout, its cost, and the quota that limits it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Tier, quotas
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout.forecast import ASSUMED_UPDATE, forecast, quota_minimum
from tests.functions.builders import make_wave

S1 = quotas(Tier.S1, 1)
S3 = quotas(Tier.S3, 1)
PLAIN = Strategy()


def test_on_a_small_hub_reports_are_the_limit() -> None:
    result = forecast([make_wave(1000)], PLAIN, S1)
    assert result.limited_by == "twinUpdates"
    assert result.duration == timedelta(seconds=1000 / (50 / 3)) + ASSUMED_UPDATE
    assert result.messages == 1000 * MESSAGES_PER_UPDATE


def test_with_fewer_methods_than_reports_methods_are_the_limit() -> None:
    assert forecast([make_wave(10)], PLAIN, replace(S1, methods=1.0)).limited_by == "methods"


def test_a_lower_max_in_flight_is_the_limit() -> None:
    result = forecast([make_wave(12)], Strategy(max_in_flight=1), S1)
    assert result.limited_by == "maxInFlight"
    assert result.duration == 13 * ASSUMED_UPDATE
    assert forecast([make_wave(12)], Strategy(max_in_flight=10_000), S1).limited_by != "maxInFlight"


@pytest.mark.parametrize(("devices", "limit"), [(57_142, "twinUpdates"), (57_143, "dailyMessages")])
def test_daily_messages_are_the_limit_if_a_rollout_needs_more_than_one_day_allows(
    devices: int, limit: str
) -> None:
    """Compare with 400,000 messages a day and 7 messages for each device."""
    assert forecast([make_wave(devices)], PLAIN, S1).limited_by == limit


@pytest.mark.parametrize(("devices", "limit"), [(17_142, "twinUpdates"), (17_143, "dailyMessages")])
def test_the_days_share_is_not_the_share_of_the_rates(devices: int, limit: str) -> None:
    """Compare with 30% of 400,000 messages, as a rollout keeps to, and 80% of the rates."""
    shares = quotas(Tier.S1, 1, 0.8, daily_share=0.3)
    assert forecast([make_wave(devices)], PLAIN, shares).limited_by == limit


def test_a_rollout_that_needs_the_messages_of_two_days_takes_two_days() -> None:
    result = forecast([make_wave(800_000 // 7)], PLAIN, S1)
    assert timedelta(days=1.99) < result.duration < timedelta(days=2.01)


def test_each_wave_waits_for_its_last_device_and_its_soak() -> None:
    soak = Strategy(soak=timedelta(hours=1))
    one = forecast([make_wave(100)], soak, S1).duration
    two = forecast([make_wave(50), make_wave(50)], soak, S1).duration
    assert two - one == timedelta(hours=1) + ASSUMED_UPDATE


def test_with_half_of_the_hub_a_rollout_takes_twice_as_long() -> None:
    whole = forecast([make_wave(1000)], PLAIN, S1).duration - ASSUMED_UPDATE
    half = forecast([make_wave(1000)], PLAIN, replace(S1, share=0.5)).duration - ASSUMED_UPDATE
    assert half == 2 * whole


def test_the_quota_minimum_is_the_longest_of_methods_reports_and_reads() -> None:
    assert quota_minimum(1000, S1) == timedelta(seconds=60)
    assert quota_minimum(1000, replace(S1, methods=10.0)) == timedelta(seconds=100)
    slow_reads = replace(S1, twin_reads=0.0, queries=0.05)
    assert quota_minimum(1000, slow_reads) == timedelta(seconds=200)
    both_reads = replace(S1, twin_reads=5.0, queries=0.05)
    assert quota_minimum(1000, both_reads) == timedelta(seconds=100)


def test_a_larger_hub_is_never_slower() -> None:
    for devices in (1, 100, 100_000):
        assert quota_minimum(devices, S3) <= quota_minimum(devices, S1)
        larger = forecast([make_wave(devices)], PLAIN, S3)
        assert larger.duration <= forecast([make_wave(devices)], PLAIN, S1).duration


def test_a_share_of_the_hub_has_that_share_of_its_methods() -> None:
    methods = replace(S1, methods=1.0, twin_updates=1e9, messages_a_day=10**12, share=0.5)
    found = forecast([make_wave(1000)], PLAIN, methods)
    assert found.limited_by == "methods"
    assert found.duration - ASSUMED_UPDATE == timedelta(seconds=2000)


def test_a_rollout_whose_messages_just_fit_a_day_is_not_limited_by_them() -> None:
    messages = 1000 * MESSAGES_PER_UPDATE
    fits = replace(S1, messages_a_day=2 * messages, daily_share=0.5)
    assert forecast([make_wave(1000)], PLAIN, fits).limited_by != "dailyMessages"
    found = forecast([make_wave(1001)], PLAIN, fits)
    assert found.limited_by == "dailyMessages"
    assert found.duration - ASSUMED_UPDATE == timedelta(days=1.001)
