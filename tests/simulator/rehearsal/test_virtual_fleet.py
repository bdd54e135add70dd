"""Virtual devices respond at once, report on time, and have the faults they were given."""

from collections import Counter
from decimal import Decimal
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.durations import Durations
from simulator.rehearsal.outages import parse_outage
from simulator.rehearsal.strata import parse_stratum
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_fleet import Timing, device_ids, virtual_fleet
from simulator.simulated_fleet.shares import OTHER_VERSION, Fault, Shares
from tests.functions.builders import NOON, ROLLOUT_ID, at
from tests.simulator.rehearsal.builders import after, payload


def device(**values: Any) -> VirtualDevice:
    return VirtualDevice("thermostat-1", **values)


def start_update(**values: Any) -> VirtualDevice:
    """Return a device that was sent the direct method at noon."""
    updating = device(**values)
    assert updating.receive_method(payload(), after(0)).status == 200
    return updating


def statuses(item: VirtualDevice, *times: float) -> list[str]:
    return [item.read_twin(after(seconds)).reported["firmwareStatus"] for seconds in times]


# -- what a device reports


def test_a_device_reports_each_stage_when_it_is_due() -> None:
    item = start_update(stage_seconds=(1, 10, 20, 0))

    assert statuses(item, 0, 0.9, 1, 11, 30.9, 31) == [
        "standBy",
        "standBy",
        "downloading",
        "applying",
        "applying",
        "completed",
    ]


def test_the_twin_says_when_the_hub_stored_each_property() -> None:
    twin = start_update(stage_seconds=(1, 10, 20, 0)).read_twin(after(100))

    assert twin.reported_at["downloadComplete"] == at(11)
    assert twin.reported_at["startedApplyingImage"] == at(11)
    assert twin.reported_at["lastFirmwareUpdate"] == at(31)
    assert twin.reported_at["firmwareStatus"] == twin.reported_at["firmwareUpdate"] == at(31)
    assert twin.reported["lastFirmwareUpdate"] == "2026-11-23T12:00:31Z"


def test_the_version_changes_with_completion() -> None:
    item = start_update(stage_seconds=(10, 10, 10, 10))

    assert item.read_twin(after(29)).reported["firmwareVersion"] == "1.0.0"
    assert item.read_twin(after(30)).reported["firmwareVersion"] == "2.4.0"


def test_a_status_names_its_rollout_attempt_and_version() -> None:
    about = start_update().read_twin(after(20)).reported["firmwareUpdate"]

    assert (about["rolloutId"], about["attempt"], about["version"]) == (ROLLOUT_ID, 1, "2.4.0")
    assert about["progressPercent"] == 50


def test_the_twin_as_of_an_earlier_time_can_be_read_later() -> None:
    item = start_update()
    item.receive_method(payload(rollout_id="other", version="3.0.0"), after(100))

    assert statuses(item, 1000, 105, 10, -1) == [
        "completed",
        "completed",
        "downloading",
        "standBy",
    ]
    assert item.read_twin(after(105)).reported["firmwareVersion"] == "2.4.0"
    assert item.read_twin(after(1000)).reported["firmwareVersion"] == "3.0.0"


def test_a_twin_that_was_read_does_not_change_at_the_next_read() -> None:
    item = start_update()
    first = item.read_twin(after(10))

    item.read_twin(after(1000))

    assert first.reported["firmwareStatus"] == "downloading"
    assert device().read_twin(after(0)).reported["firmwareStatus"] == "standBy"


# -- how a device responds


def test_the_same_attempt_again_gets_the_same_response_and_starts_nothing() -> None:
    item = device()

    responses = [item.receive_method(payload(), after(seconds)) for seconds in (0, 5, 500)]

    assert responses == [responses[0]] * 3
    assert responses[0].payload == {"Response": "Firmware update started"}
    assert item.started == [(ROLLOUT_ID, 1)]


def test_an_earlier_attempt_that_comes_late_starts_nothing() -> None:
    item = device()
    item.receive_method(payload(attempt=2), after(0))

    assert item.receive_method(payload(attempt=1), after(500)).status == 200
    assert item.started == [(ROLLOUT_ID, 2)]


def test_a_second_update_is_rejected_while_one_is_under_way() -> None:
    item = start_update()

    assert item.receive_method(payload(attempt=2), after(29)).status == 409
    assert item.receive_method(payload(attempt=2), after(30)).status == 200
    assert item.started == [(ROLLOUT_ID, 1), (ROLLOUT_ID, 2)]


@pytest.mark.parametrize("uri", [None, "", " ", 7])
def test_a_payload_without_a_package_uri_is_rejected(uri: object) -> None:
    item = device()

    assert item.receive_method({"fwPackageUri": uri}, after(0)).status == 400
    assert item.started == []


# -- faults


def test_a_failing_device_reports_a_failure_and_keeps_its_version() -> None:
    twin = start_update(fault=Fault.FAILING).read_twin(after(30))

    assert twin.reported["firmwareStatus"] == "failed"
    assert twin.reported["firmwareVersion"] == "1.0.0"
    assert twin.reported["firmwareUpdate"]["errorCode"] == "simulatedFailure"
    assert "lastFirmwareUpdate" not in twin.reported


def test_a_hanging_device_reports_nothing_after_downloading_and_stays_busy() -> None:
    item = start_update(fault=Fault.HANGING)

    assert statuses(item, 10, 10_000_000) == ["downloading", "downloading"]
    assert item.receive_method(payload(attempt=2), after(10_000_000)).status == 409


def test_a_reverting_device_completes_and_later_stands_by_with_its_old_version() -> None:
    item = start_update(fault=Fault.REVERTING, stage_seconds=(10, 10, 10, 300))

    assert statuses(item, 30, 329, 330) == ["completed", "completed", "standBy"]
    assert item.read_twin(after(329)).reported["firmwareVersion"] == "2.4.0"
    twin = item.read_twin(after(330))
    assert twin.reported["firmwareVersion"] == "1.0.0"
    assert twin.reported["firmwareUpdate"]["progressPercent"] == 100
    assert twin.reported_at["firmwareUpdate"] == at(30)


def test_a_device_on_the_wrong_version_completes_and_reports_another_one() -> None:
    item = start_update(fault=Fault.WRONG_VERSION)

    assert statuses(item, 1000) == ["completed"]
    twin = item.read_twin(after(1000))
    assert twin.reported["firmwareVersion"] == OTHER_VERSION
    assert twin.reported["firmwareUpdate"]["version"] == "2.4.0"


def test_an_update_after_a_revert_begins_from_the_old_version() -> None:
    item = start_update(fault=Fault.REVERTING)
    item.receive_method(payload(attempt=2, version="3.0.0"), after(100))
    item.fault = Fault.NONE

    assert item.read_twin(after(119)).reported["firmwareVersion"] == "1.0.0"
    assert item.read_twin(after(130)).reported["firmwareVersion"] == "3.0.0"


# -- offline and online


def test_a_device_is_offline_and_online_in_turn() -> None:
    item = device(offline=True, connection_changes=(after(10), after(20), after(30)))

    assert [item.is_online(after(seconds)) for seconds in (0, 9, 10, 19, 20, 29, 30, 1000)] == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]


def test_reports_that_become_due_offline_are_sent_on_reconnect() -> None:
    item = start_update(connection_changes=(after(15), after(100)))

    assert statuses(item, 99, 100, 110) == ["downloading", "applying", "completed"]
    assert item.read_twin(after(200)).reported_at["startedApplyingImage"] == at(100)


def test_a_disconnected_device_keeps_its_reports_until_it_reconnects() -> None:
    item = start_update()

    item.disconnect(after(15))
    assert not item.is_online(after(15))
    assert statuses(item, 1000) == ["downloading"]

    item.reconnect(after(1000))
    assert item.is_online(after(1000))
    assert statuses(item, 999, 1000, 1010) == ["downloading", "applying", "completed"]


# -- devices of the tutorial


def test_a_device_of_the_tutorial_reports_its_status_and_four_times_and_nothing_else() -> None:
    twin = start_update(tutorial_only=True).read_twin(after(1000))

    assert set(twin.reported) == {
        "firmwareStatus",
        "logTime",
        "downloadComplete",
        "startedApplyingImage",
        "lastFirmwareUpdate",
    }
    assert twin.reported_at["downloadComplete"] == at(10)


def test_a_device_of_the_tutorial_begins_again_at_every_method() -> None:
    item = start_update(tutorial_only=True)

    item.receive_method(payload(), after(10))
    assert item.overlaps == 1
    item.receive_method(payload(), after(500))
    assert item.overlaps == 1
    assert len(item.started) == 3


# -- the whole fleet


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


# -- strata


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


# -- outages


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
