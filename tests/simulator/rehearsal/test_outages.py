"""Outages are read from options, and merged with the times that a device is offline anyway."""

from bisect import bisect_right
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal import outages
from simulator.rehearsal.outages import Outage, Period, parse_outage

CHANGES = st.lists(st.floats(0, 100), unique=True, max_size=6).map(
    lambda times: tuple(sorted(times))
)


def is_online(offline: bool, changes: tuple[float, ...], now: float) -> bool:
    return bool(bisect_right(changes, now) & 1) is offline


@pytest.mark.parametrize(
    ("text", "expected", "where"),
    [
        ("10m@30m", Outage(seconds=600, start=1800), "all devices"),
        ("1h@0s:berlin", Outage(seconds=3600, start=0, stratum="berlin"), "the devices of berlin"),
        ("1h@2m:20%", Outage(seconds=3600, start=120, share=Decimal(20)), "20% of the devices"),
        (
            "1h@2m:model=A:0.5%",
            Outage(seconds=3600, start=120, stratum="model=A", share=Decimal("0.5")),
            "0.5% of the devices of model=A",
        ),
    ],
)
def test_an_outage_is_read_and_described(text: str, expected: Outage, where: str) -> None:
    assert parse_outage(text) == expected
    assert outages.describe(expected) == where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10m", "'10m' is not an outage; write it like 10m@30m or 10m@30m:berlin"),
        ("10m@30m:", "is not an outage"),
        ("@30m", "'' is not a length of time"),
        ("10m@", "'' is not a length of time"),
        ("0s@30m", "must last longer than 0s"),
        ("10m@30m:101%", "'101%' is not a share"),
        ("10m@30m:berlin:paris", "names more than one stratum"),
    ],
)
def test_what_is_no_outage_is_rejected_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_outage(text)


def test_an_outage_of_an_unknown_stratum_is_rejected_with_the_known_ones() -> None:
    outage = parse_outage("10m@30m:rome")

    with pytest.raises(ValueError, match="the stratum 'rome'; the strata are berlin, other"):
        outages.check([outage], ["berlin", "other"])
    with pytest.raises(ValueError, match="the stratum 'rome'; --stratum names none"):
        outages.check([outage], [])
    outages.check([outage, parse_outage("1m@1m")], ["rome"])


@given(
    offline=st.booleans(),
    changes=CHANGES,
    away=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 50)), max_size=4),
    now=st.floats(-10, 200),
)
def test_a_device_is_online_if_it_would_be_and_no_outage_takes_it_away(
    offline: bool, changes: tuple[float, ...], away: list[tuple[int, int]], now: float
) -> None:
    periods = [Period(begins, begins + length) for begins, length in away]

    own = outages.offline_periods(changes, offline=offline)
    begins_offline, merged = outages.merge((*own, *periods))

    expected = is_online(offline, changes, now) and not any(
        p.begins <= now < p.ends for p in periods
    )
    assert is_online(begins_offline, merged, now) is expected
    assert list(merged) == sorted(merged)
