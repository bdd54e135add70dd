"""One virtual device: its reports, responses, faults and connection."""

from typing import Any

import pytest

from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import OTHER_VERSION, Fault
from tests.functions.builders import ROLLOUT_ID, at
from tests.simulator.rehearsal.builders import after, payload, statuses


def device(**values: Any) -> VirtualDevice:
    return VirtualDevice("thermostat-1", **values)


def start_update(**values: Any) -> VirtualDevice:
    """Return a device that was sent the direct method at noon."""
    updating = device(**values)
    assert updating.receive_method(payload(), after(0)).status == 200
    return updating


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
