"""Pretended devices: they answer at once, report in time, and misbehave as they were told to."""

from collections import Counter
from decimal import Decimal
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_fleet import Timing, device_ids, virtual_fleet
from simulator.simulated_fleet.shares import Fault, Shares
from tests.functions.builders import NOON, ROLLOUT_ID, at
from tests.simulator.rehearsal.builders import after, payload


def device(**values: Any) -> VirtualDevice:
    return VirtualDevice("thermostat-1", **values)


def updated(**values: Any) -> VirtualDevice:
    """A device that was asked at noon."""
    asked = device(**values)
    assert asked.receive_method(payload(), after(0)).status == 200
    return asked


def statuses(asked: VirtualDevice, *seconds: float) -> list[str]:
    return [asked.read_twin(after(moment)).reported["firmwareStatus"] for moment in seconds]


# -- what a device reports


def test_a_device_reports_each_stage_when_its_time_has_come() -> None:
    asked = updated(stage_seconds=(1, 10, 20, 0))

    assert statuses(asked, 0, 0.9, 1, 11, 30.9, 31) == [
        "standBy",
        "standBy",
        "downloading",
        "applying",
        "applying",
        "completed",
    ]


def test_the_twin_says_when_the_hub_stored_each_property() -> None:
    twin = updated(stage_seconds=(1, 10, 20, 0)).read_twin(after(100))

    assert twin.reported_at["downloadComplete"] == at(11)
    assert twin.reported_at["startedApplyingImage"] == at(11)
    assert twin.reported_at["lastFirmwareUpdate"] == at(31)
    assert twin.reported_at["firmwareStatus"] == twin.reported_at["firmwareUpdate"] == at(31)
    assert twin.reported["lastFirmwareUpdate"] == "2026-11-23T12:00:31Z"


def test_the_version_changes_with_completion() -> None:
    asked = updated(stage_seconds=(10, 10, 10, 10))

    assert asked.read_twin(after(29)).reported["firmwareVersion"] == "1.0.0"
    assert asked.read_twin(after(30)).reported["firmwareVersion"] == "2.4.0"


def test_the_update_that_a_status_is_about_is_named() -> None:
    about = updated().read_twin(after(20)).reported["firmwareUpdate"]

    assert (about["rolloutId"], about["attempt"], about["version"]) == (ROLLOUT_ID, 1, "2.4.0")
    assert about["progressPercent"] == 50


def test_the_twin_of_an_earlier_moment_can_be_had_later() -> None:
    asked = updated()
    asked.receive_method(payload(rollout_id="other", version="3.0.0"), after(100))

    assert statuses(asked, 1000, 105, 10, -1) == [
        "completed",
        "completed",
        "downloading",
        "standBy",
    ]
    assert asked.read_twin(after(105)).reported["firmwareVersion"] == "2.4.0"
    assert asked.read_twin(after(1000)).reported["firmwareVersion"] == "3.0.0"


def test_what_a_twin_says_does_not_change_when_it_is_asked_again() -> None:
    asked = updated()
    first = asked.read_twin(after(10))

    asked.read_twin(after(1000))

    assert first.reported["firmwareStatus"] == "downloading"
    assert device().read_twin(after(0)).reported["firmwareStatus"] == "standBy"


# -- how a device answers


def test_the_same_attempt_again_gives_the_same_answer_and_starts_nothing() -> None:
    asked = device()

    answers = [asked.receive_method(payload(), after(moment)) for moment in (0, 5, 500)]

    assert answers == [answers[0]] * 3
    assert answers[0].payload == {"Response": "Firmware update started"}
    assert asked.started == [(ROLLOUT_ID, 1)]


def test_an_earlier_attempt_that_comes_late_starts_nothing() -> None:
    asked = device()
    asked.receive_method(payload(attempt=2), after(0))

    assert asked.receive_method(payload(attempt=1), after(500)).status == 200
    assert asked.started == [(ROLLOUT_ID, 2)]


def test_another_update_is_refused_while_one_is_under_way() -> None:
    asked = updated()

    assert asked.receive_method(payload(attempt=2), after(29)).status == 409
    assert asked.receive_method(payload(attempt=2), after(30)).status == 200
    assert asked.started == [(ROLLOUT_ID, 1), (ROLLOUT_ID, 2)]


@pytest.mark.parametrize("uri", [None, "", " ", 7])
def test_a_payload_without_a_usable_package_is_refused(uri: object) -> None:
    asked = device()

    assert asked.receive_method({"fwPackageUri": uri}, after(0)).status == 400
    assert asked.started == []


# -- how a device misbehaves


def test_a_failing_device_says_so_and_keeps_its_version() -> None:
    twin = updated(fault=Fault.FAILING).read_twin(after(30))

    assert twin.reported["firmwareStatus"] == "failed"
    assert twin.reported["firmwareVersion"] == "1.0.0"
    assert twin.reported["firmwareUpdate"]["errorCode"] == "simulatedFailure"
    assert "lastFirmwareUpdate" not in twin.reported


def test_a_hanging_device_says_nothing_after_downloading_and_stays_busy() -> None:
    asked = updated(fault=Fault.HANGING)

    assert statuses(asked, 10, 10_000_000) == ["downloading", "downloading"]
    assert asked.receive_method(payload(attempt=2), after(10_000_000)).status == 409


def test_a_reverting_device_completes_and_later_stands_by_with_its_old_version() -> None:
    asked = updated(fault=Fault.REVERTING, stage_seconds=(10, 10, 10, 300))

    assert statuses(asked, 30, 329, 330) == ["completed", "completed", "standBy"]
    assert asked.read_twin(after(329)).reported["firmwareVersion"] == "2.4.0"
    twin = asked.read_twin(after(330))
    assert twin.reported["firmwareVersion"] == "1.0.0"
    assert twin.reported["firmwareUpdate"]["progressPercent"] == 100
    assert twin.reported_at["firmwareUpdate"] == at(30)


def test_an_update_after_a_revert_begins_from_the_old_version() -> None:
    asked = updated(fault=Fault.REVERTING)
    asked.receive_method(payload(attempt=2, version="3.0.0"), after(100))
    asked.fault = Fault.NONE

    assert asked.read_twin(after(119)).reported["firmwareVersion"] == "1.0.0"
    assert asked.read_twin(after(130)).reported["firmwareVersion"] == "3.0.0"


# -- away and back


def test_a_device_is_away_between_its_turns() -> None:
    asked = device(offline=True, connection_changes=(after(10), after(20), after(30)))

    assert [asked.is_online(after(moment)) for moment in (0, 9, 10, 19, 20, 29, 30, 1000)] == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]


def test_what_becomes_due_while_a_device_is_away_is_reported_when_it_is_back() -> None:
    asked = updated(connection_changes=(after(15), after(100)))

    assert statuses(asked, 99, 100, 110) == ["downloading", "applying", "completed"]
    assert asked.read_twin(after(200)).reported_at["startedApplyingImage"] == at(100)


def test_a_device_taken_away_keeps_its_reports_until_it_comes_back() -> None:
    asked = updated()

    asked.disconnect(after(15))
    assert not asked.is_online(after(15))
    assert statuses(asked, 1000) == ["downloading"]

    asked.reconnect(after(1000))
    assert asked.is_online(after(1000))
    assert statuses(asked, 999, 1000, 1010) == ["downloading", "applying", "completed"]


# -- devices of the tutorial


def test_a_device_of_the_tutorial_reports_its_status_and_four_times_and_nothing_else() -> None:
    twin = updated(tutorial_only=True).read_twin(after(1000))

    assert set(twin.reported) == {
        "firmwareStatus",
        "logTime",
        "downloadComplete",
        "startedApplyingImage",
        "lastFirmwareUpdate",
    }
    assert twin.reported_at["downloadComplete"] == at(10)


def test_a_device_of_the_tutorial_begins_again_when_it_is_asked_again() -> None:
    asked = updated(tutorial_only=True)

    asked.receive_method(payload(), after(10))
    assert asked.overlaps == 1
    asked.receive_method(payload(), after(500))
    assert asked.overlaps == 1
    assert len(asked.started) == 3


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


def test_a_fleet_misbehaves_as_asked() -> None:
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
def test_every_offline_device_is_back_for_good_some_time(seed: int, flaps: int) -> None:
    shares = Shares(offline=Decimal(100))
    fleet = virtual_fleet(device_ids(5), NOON, seed, shares=shares, timing=Timing(max_flaps=flaps))

    for item in fleet:
        assert list(item.connection_changes) == sorted(item.connection_changes)
        assert item.is_online(item.connection_changes[-1])


def test_offline_devices_are_away_for_the_time_asked_on_average() -> None:
    shares = Shares(offline=Decimal(100))
    fleet = virtual_fleet(
        device_ids(3000), NOON, 7, shares=shares, timing=Timing(offline_seconds=900)
    )

    assert mean(item.connection_changes[0] - after(0) for item in fleet) == pytest.approx(
        900, rel=0.1
    )


def test_speeds_are_spread_around_one() -> None:
    speeds = [
        item.time_factor
        for item in virtual_fleet(device_ids(3000), NOON, timing=Timing(spread=0.4))
    ]

    assert min(speeds) >= 0.6
    assert max(speeds) <= 1.4
    assert mean(speeds) == pytest.approx(1, abs=0.02)
