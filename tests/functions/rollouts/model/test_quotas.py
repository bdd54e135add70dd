"""The quotas of a hub by its tier and units, and the end of its day."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.rollouts.model.quotas import Tier, quotas

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("tier", "units", "expected"),
    [
        (Tier.F1, 1, (40, 100, 50, 20, 8_000, 512)),
        (Tier.S1, 1, (40, 100, 50, 20, 400_000, 4096)),
        (Tier.S1, 3, (120, 100, 50, 60, 1_200_000, 4096)),
        (Tier.S2, 1, (120, 100, 50, 20, 6_000_000, 4096)),
        (Tier.S2, 20, (2400, 200, 100, 400, 120_000_000, 4096)),
        (Tier.S3, 2, (12_288, 1000, 500, 2000, 600_000_000, 4096)),
    ],
)
def test_quotas_grow_with_the_units_and_have_a_least_value(
    tier: Tier, units: int, expected: tuple[float, ...]
) -> None:
    """Test the values of Microsoft Learn, "IoT Hub quotas and throttling"."""
    hub = quotas(tier, units)
    a_second = (hub.methods, hub.twin_reads, hub.twin_updates)
    found = (*a_second, hub.queries * 60, hub.messages_a_day, hub.block_bytes)
    assert found == pytest.approx(expected)
    assert (hub.share, hub.scale, hub.daily_share) == (1, 1, 1)


def test_a_faster_clock_raises_the_quotas_of_a_second_but_not_those_of_a_day() -> None:
    fast, real = quotas(Tier.S1, 1, scale=10.0), quotas(Tier.S1, 1)
    assert (fast.methods, fast.twin_reads, fast.twin_updates) == (400, 1000, 500)
    assert fast.queries == pytest.approx(10 * real.queries)
    assert fast.messages_a_day == real.messages_a_day


def test_starts_are_limited_by_methods_or_by_the_reports_of_devices() -> None:
    assert quotas(Tier.S1, 1, 0.5).starts == pytest.approx(50 / 3 * 0.5)
    assert quotas(Tier.S2, 100).starts == pytest.approx(500 / 3)
    assert quotas(Tier.S2, 100, 0.3, daily_share=0.5).daily_messages == 300_000_000


@pytest.mark.parametrize("hours", [0, 1, 23.99])
def test_a_day_of_messages_ends_at_midnight_utc(hours: float) -> None:
    now = MIDNIGHT + timedelta(hours=hours)
    assert quotas(Tier.S1, 1).day_ends_at(now) == MIDNIGHT + 24 * HOUR
    fast = quotas(Tier.S1, 1, scale=24.0).day_ends_at(now)
    assert fast == MIDNIGHT + HOUR * (int(hours) + 1)


@pytest.mark.parametrize(
    ("scale", "minutes", "resume"),
    [
        (1, 0, 5),
        (1, 59, 64),
        (1, 60, 24 * 60),
        (1, 61, 24 * 60),
        (24, 2, 2 + 5 / 24),
        (24, 2.5, 60),
        (24, 59, 60),
    ],
)
def test_a_hub_that_refuses_soon_after_midnight_is_called_again_soon(
    scale: float, minutes: float, resume: float
) -> None:
    refused_at = MIDNIGHT + timedelta(minutes=minutes)
    hub = quotas(Tier.S1, 1, scale=scale)
    assert hub.calls_resume_at(refused_at) == MIDNIGHT + timedelta(minutes=resume)
