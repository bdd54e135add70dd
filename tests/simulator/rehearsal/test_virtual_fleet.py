"""Virtual devices respond at once, report on time, and have the faults they were given."""

from collections import Counter
from decimal import Decimal
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.durations import Durations
from simulator.rehearsal.outages import parse_outage
from simulator.rehearsal.strata import parse_stratum
from simulator.rehearsal.virtual_fleet import Timing, device_ids, virtual_fleet
from simulator.simulated_fleet.shares import Fault, Shares
from tests.functions.builders import NOON
from tests.simulator.rehearsal.builders import after, payload, statuses


def test_the_same_seed_gives_the_same_fleet() -> None:
    shares = Shares(fail=Decimal(5), offline=Decimal(20))

    def traits(seed: int) -> list[object]:
        fleet = virtual_fleet(device_ids(200), NOON, seed, shares=shares)
        return [
            (item.device_id, item.fault, item.time_factor, item.connection_changes)
            for item in fleet
        ]

    assert traits(7) == traits(7)
    assert traits(7) != traits(8)


def test_a_fleet_has_the_shares_of_faults_it_was_given() -> None:
    shares = Shares(fail=Decimal(3), hang=Decimal(1), offline=Decimal(10), revert=Decimal(2))
    fleet = virtual_fleet(device_ids(1000), NOON, 7, shares=shares)

    counts = Counter(item.fault for item in fleet)
    assert counts[Fault.FAILING] == 30
    assert counts[Fault.HANGING] == 10
    assert counts[Fault.OFFLINE] == 100
    assert counts[Fault.REVERTING] == 20
    assert {item.is_online(after(0)) for item in fleet if item.fault is Fault.OFFLINE} == {False}
    assert all(item.is_online(after(0)) for item in fleet if item.fault is not Fault.OFFLINE)


@given(seed=st.integers(0, 1000), flaps=st.integers(0, 4))
def test_every_offline_device_is_online_in_the_end(seed: int, flaps: int) -> None:
    shares = Shares(offline=Decimal(100))
    fleet = virtual_fleet(device_ids(5), NOON, seed, shares=shares, timing=Timing(max_flaps=flaps))

    for item in fleet:
        assert list(item.connection_changes) == sorted(item.connection_changes)
        assert item.is_online(item.connection_changes[-1])


def test_offline_devices_stay_offline_for_the_mean_time_given() -> None:
    shares = Shares(offline=Decimal(100))
    fleet = virtual_fleet(
        device_ids(3000), NOON, 7, shares=shares, timing=Timing(offline_seconds=900)
    )

    assert mean(item.connection_changes[0] - after(0) for item in fleet) == pytest.approx(
        900, rel=0.1
    )


def test_speeds_are_spread_around_one() -> None:
    timing = Timing(update_takes=Durations(60, 140))
    speeds = [item.time_factor for item in virtual_fleet(device_ids(3000), NOON, timing=timing)]

    assert min(speeds) >= 0.6
    assert max(speeds) <= 1.4
    assert mean(speeds) == pytest.approx(1, abs=0.02)


def test_failures_and_successes_end_after_the_times_given() -> None:
    timing = Timing(update_takes=Durations(360, 840), fail_after=Durations(30, 90))
    fleet = virtual_fleet(device_ids(400), NOON, 7, shares=Shares(fail=Decimal(50)), timing=timing)

    ends: dict[Fault, list[float]] = {Fault.FAILING: [], Fault.NONE: []}
    for item in fleet:
        item.receive_method(payload(), after(0))
        assert item.latest is not None
        ends[item.fault].append(item.latest.ends_at - after(0))

    assert min(ends[Fault.FAILING]) >= 30
    assert max(ends[Fault.FAILING]) <= 90
    assert mean(ends[Fault.FAILING]) == pytest.approx(60, rel=0.1)
    assert min(ends[Fault.NONE]) >= 360
    assert max(ends[Fault.NONE]) <= 840
    assert mean(ends[Fault.NONE]) == pytest.approx(600, rel=0.1)


def test_a_slow_update_reverts_as_soon_as_a_fast_one() -> None:
    timing = Timing(update_takes=Durations(600, 600))
    (item,) = virtual_fleet(["a"], NOON, shares=Shares(revert=Decimal(100)), timing=timing)
    item.receive_method(payload(), after(0))

    assert statuses(item, 599, 601, 899, 901) == ["applying", "completed", "completed", "standBy"]


def test_strata_have_their_shares_of_the_devices_and_their_own_faults() -> None:
    planned = [parse_stratum("berlin:60%:fail=10%"), parse_stratum("paris:hang=50%")]
    fleet = virtual_fleet(
        device_ids(1000), NOON, 7, shares=Shares(fail=Decimal(1)), planned_strata=planned
    )

    counts = Counter((item.stratum, item.fault) for item in fleet)
    assert counts == {
        ("berlin", Fault.FAILING): 60,
        ("berlin", Fault.NONE): 540,
        ("paris", Fault.FAILING): 4,
        ("paris", Fault.HANGING): 200,
        ("paris", Fault.NONE): 196,
    }


def test_a_stratum_may_be_slower_than_the_fleet() -> None:
    planned = [parse_stratum("slow:50%:update-takes=20m"), parse_stratum("fast")]
    fleet = virtual_fleet(device_ids(100), NOON, planned_strata=planned)

    for item in fleet:
        item.receive_method(payload(), after(0))
        assert item.latest is not None
        seconds = item.latest.ends_at - after(0)
        assert (seconds == pytest.approx(1200)) is (item.stratum == "slow")


def test_the_devices_of_an_outage_are_away_for_its_time() -> None:
    planned = [parse_stratum("berlin:50%"), parse_stratum("paris")]
    fleet = virtual_fleet(
        device_ids(10),
        NOON,
        planned_strata=planned,
        planned_outages=[parse_outage("10m@30m:berlin")],
    )

    for item in fleet:
        online = [item.is_online(after(60 * minute)) for minute in (0, 29, 30, 39, 40, 1000)]
        assert online == [True, True, *([item.stratum == "paris"] * 2), True, True]


def test_an_outage_keeps_reports_back_until_it_ends() -> None:
    (item,) = virtual_fleet(
        ["a"],
        NOON,
        timing=Timing(update_takes=Durations(91, 91)),
        planned_outages=[parse_outage("10m@1m")],
    )
    item.receive_method(payload(), after(0))

    assert statuses(item, 59, 659, 661) == ["downloading", "downloading", "applying"]


def test_a_device_that_was_offline_anyway_stays_offline_through_an_outage() -> None:
    shares, planned = Shares(offline=Decimal(100)), [parse_outage("1h@1h"), parse_outage("1h@90m")]
    own = virtual_fleet(device_ids(50), NOON, 7, shares=shares)
    both = virtual_fleet(device_ids(50), NOON, 7, shares=shares, planned_outages=planned)

    for alone, item in zip(own, both, strict=True):
        for minute in range(0, 24 * 60, 7):
            at_minute = after(60 * minute)
            away = 60 <= minute < 150
            assert item.is_online(at_minute) is (alone.is_online(at_minute) and not away)


def test_an_outage_of_a_share_takes_about_that_share() -> None:
    fleet = virtual_fleet(device_ids(2000), NOON, planned_outages=[parse_outage("1h@1h:25%")])

    away = sum(not item.is_online(after(5400)) for item in fleet)
    assert away == pytest.approx(500, rel=0.15)
