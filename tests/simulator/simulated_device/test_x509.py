"""Test devices with certificates, and what devices with keys or certificates log."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from device_agent.admission import Policy
from device_agent.credentials import Certificate, Credentials
from simulator.hub import LocalHub
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions
from simulator.simulated_device.simulated_updates import UpdateSettings
from tests.simulator.self_signed import self_signed
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.waiting import eventually

PASSPHRASE = "open sesame"
UPDATE = {"fwPackageUri": "test.com", "rolloutId": "r1", "attempt": 1, "version": "2.4.0"}


@pytest.fixture
def certified(
    hub: LocalHub, owner: FleetOwner, ca: str, device_id: str, tmp_path: Path
) -> DeviceOptions:
    """Register a device by its certificate."""
    made = self_signed(tmp_path, device_id, passphrase=PASSPHRASE)
    owner.register_certificate(device_id, made.sha1)
    host = hub.create_device(f"{device_id}-keyed").partition(";")[0]
    return DeviceOptions(
        credentials=Credentials(
            connection_string=f"{host};DeviceId={device_id};x509=true",
            certificate=Certificate(
                certificate_file=made.files.certificate_file,
                key_file=made.files.key_file,
                passphrase=PASSPHRASE,
            ),
            ca=ca,
        ),
        update_settings=UpdateSettings(stage_delay=timedelta(milliseconds=50)),
    )


@pytest.fixture
def keyed(hub: LocalHub, certified: DeviceOptions, device_id: str) -> DeviceOptions:
    text = hub.device_connection_string(f"{device_id}-keyed")
    credentials = Credentials(connection_string=text, ca=certified.credentials.ca)
    return replace(certified, credentials=credentials)


def update(devices: DeviceThread, device: Device, owner: FleetOwner) -> None:
    devices.start(device)
    assert device.standing_by.wait(20), "the device did not report standBy"
    assert owner.invoke(device.device_id, UPDATE)[0] == 200
    owner.wait_for(device.device_id, "completed")


def test_a_device_with_a_certificate_is_updated(
    devices: DeviceThread, certified: DeviceOptions, owner: FleetOwner, device_id: str
) -> None:
    update(devices, Device(certified), owner)

    assert owner.reported(device_id)["firmwareVersion"] == "2.4.0"


def test_an_installing_device_may_have_a_certificate(
    devices: DeviceThread, certified: DeviceOptions, owner: FleetOwner, tmp_path: Path
) -> None:
    options = InstallingOptions(
        credentials=certified.credentials,
        directory=tmp_path / "device",
        policy=Policy(model="thermostat-x1"),
    )
    device = InstallingDevice(options)
    devices.start(device)

    assert device.standing_by.wait(20)
    assert owner.connection_state(device.device_id) == "Connected"
    assert PASSPHRASE not in repr(options)


def test_a_refused_certificate_is_tried_again(
    devices: DeviceThread,
    certified: DeviceOptions,
    owner: FleetOwner,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="device_agent")
    files = self_signed(tmp_path, "other").files
    other = Certificate(certificate_file=files.certificate_file, key_file=files.key_file)
    credentials = replace(certified.credentials, certificate=other)
    device = Device(replace(certified, credentials=credentials))
    devices.start(device)

    eventually(lambda: caplog.text.count("connecting failed") > 1, what="two attempts")
    assert owner.connection_state(device.device_id) == "Disconnected"


def test_no_log_holds_a_secret(
    devices: DeviceThread,
    certified: DeviceOptions,
    keyed: DeviceOptions,
    owner: FleetOwner,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="azure.iot.device")
    for options in (certified, keyed):
        update(devices, Device(options), owner)

    assert "SasToken" in caplog.text, "the SDK's own lines are captured too"
    assert keyed.credentials.connection_string.partition("SharedAccessKey=")[2] not in caplog.text
    assert "SharedAccessSignature" not in caplog.text
    assert PASSPHRASE not in caplog.text
