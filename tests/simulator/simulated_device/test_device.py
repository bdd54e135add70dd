"""Test the simulated device on the local hub, with Microsoft's SDKs on both sides."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from device_agent.credentials import Credentials
from device_agent.dialect import TUTORIAL
from simulator.hub import LocalHub
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.log import LOGGERS
from simulator.simulated_device.simulated_updates import UpdateSettings, failure_at
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.waiting import eventually

STARTED = {"Response": "Firmware update started"}
QUICK = timedelta(milliseconds=50)
NEVER = timedelta(hours=1)


@pytest.fixture
def device_string(hub: LocalHub, device_id: str) -> str:
    return hub.create_device(device_id)


def payload(attempt: int = 1) -> dict[str, Any]:
    return {
        "fwPackageUri": "https://packages.example/fw.bin?sig=secret",
        "rolloutId": "r1",
        "attempt": attempt,
        "version": "2.4.0",
    }


def make_device(device_string: str, ca: str, **update_settings: Any) -> Device:
    options = DeviceOptions(
        credentials=Credentials(connection_string=device_string, ca=ca),
        update_settings=UpdateSettings(**({"stage_delay": QUICK} | update_settings)),
    )
    return Device(options)


def start(devices: DeviceThread, device: Device) -> None:
    devices.start(device)
    assert device.standing_by.wait(20), "the device did not report standBy"


def test_a_device_responds_at_once_and_completes(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca))
    assert owner.reported(device_id)["firmwareStatus"] == "standBy"

    assert owner.invoke(device_id, payload()) == (200, STARTED)

    reported = owner.wait_for(device_id, "completed")
    assert reported["firmwareVersion"] == "2.4.0"
    assert reported["firmwareUpdate"]["progressPercent"] == 100
    times = [
        reported[name]
        for name in ("logTime", "downloadComplete", "startedApplyingImage", "lastFirmwareUpdate")
    ]
    assert times == sorted(times)


def test_the_tutorials_device_and_payload_complete_as_well(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca, dialect=TUTORIAL))

    assert owner.invoke(device_id, {"fwPackageUri": "test.com"}) == (200, STARTED)

    reported = owner.wait_for(device_id, "completed")
    assert {name for name in reported if not name.startswith("$")} == {
        "firmwareStatus",
        "logTime",
        "downloadComplete",
        "startedApplyingImage",
        "lastFirmwareUpdate",
    }


def test_further_methods_do_not_disturb_an_update(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca, stage_delay=NEVER))
    owner.invoke(device_id, payload())
    owner.wait_for(device_id, "downloading")

    assert owner.invoke(device_id, payload()) == (200, STARTED)
    assert owner.invoke(device_id, payload(attempt=2))[0] == 409
    assert owner.invoke(device_id, {"fwPackageUri": ""})[0] == 400
    assert owner.invoke(device_id, {}, name="reboot")[0] == 501
    assert owner.reported(device_id)["firmwareUpdate"]["attempt"] == 1


def test_a_configured_failure_is_reported_with_its_code(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca, failure=failure_at("applying", "flashFull")))
    owner.invoke(device_id, payload())

    reported = owner.wait_for(device_id, "failed")

    assert reported["firmwareUpdate"]["errorCode"] == "flashFull"
    assert reported["firmwareVersion"] == "1.0.0"


def test_a_device_that_restarts_during_an_update_reports_it_as_interrupted(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca, stage_delay=NEVER))
    owner.invoke(device_id, payload())
    owner.wait_for(device_id, "downloading")
    devices.stop(device_id)

    start(devices, make_device(device_string, ca))

    reported = owner.reported(device_id)
    assert reported["firmwareStatus"] == "failed"
    assert reported["firmwareUpdate"]["errorCode"] == "interrupted"
    assert owner.invoke(device_id, payload()) == (200, STARTED)
    assert owner.invoke(device_id, payload(attempt=2)) == (200, STARTED)
    assert owner.wait_for(device_id, "completed")["firmwareUpdate"]["attempt"] == 2


def test_a_device_remembers_its_version_over_a_restart(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca))
    owner.invoke(device_id, payload())
    owner.wait_for(device_id, "completed")
    devices.stop(device_id)

    start(devices, make_device(device_string, ca))

    reported = owner.reported(device_id)
    assert (reported["firmwareStatus"], reported["firmwareVersion"]) == ("standBy", "2.4.0")


def test_many_devices_share_a_thread(
    devices: DeviceThread, hub: LocalHub, ca: str, owner: FleetOwner, device_id: str
) -> None:
    ids = [f"{device_id}{number}" for number in range(10)]
    fleet = [make_device(hub.create_device(id_), ca) for id_ in ids]
    for device in fleet:
        devices.start(device)
    for device in fleet:
        assert device.standing_by.wait(20)

    for id_ in ids:
        owner.invoke(id_, payload())

    for id_ in ids:
        owner.wait_for(id_, "completed")


def test_the_log_holds_each_step_and_no_secret(
    devices: DeviceThread,
    device_string: str,
    ca: str,
    owner: FleetOwner,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in LOGGERS:
        caplog.set_level(logging.INFO, logger=name)
    device = make_device(device_string, ca)
    device_id = device.device_id
    start(devices, device)
    owner.invoke(device_id, payload())
    owner.wait_for(device_id, "completed")
    devices.stop(device_id)
    lines = [record.message for record in caplog.records if record.name.startswith(LOGGERS)]

    update = "2.4.0 (rollout r1, attempt 1)"
    assert lines == [
        f"{device_id} connected",
        f"{device_id} standBy with firmware 1.0.0",
        f"{device_id} responds to firmwareUpdate with 200: Firmware update started",
        f"{device_id} downloading {update}",
        f"{device_id} applying {update}",
        f"{device_id} completed {update}",
        f"{device_id} stopped",
    ]
    key = device_string.partition("SharedAccessKey=")[2]
    assert key not in caplog.text
    assert "sig=secret" not in caplog.text


def test_a_stopped_device_is_disconnected(
    devices: DeviceThread, device_string: str, ca: str, owner: FleetOwner, device_id: str
) -> None:
    start(devices, make_device(device_string, ca))

    devices.stop(device_id)

    eventually(lambda: owner.connection_state(device_id) == "Disconnected", what="disconnected")


def test_a_device_id_runs_only_once_at_a_time(
    devices: DeviceThread, device_string: str, ca: str
) -> None:
    start(devices, make_device(device_string, ca))

    with pytest.raises(ValueError, match="runs already"):
        devices.start(make_device(device_string, ca))
