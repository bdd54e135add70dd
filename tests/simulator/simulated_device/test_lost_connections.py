"""Test devices whose connection to the hub is cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_agent.admission import Policy
from device_agent.credentials import Credentials
from device_agent.disk import FolderStorage
from device_agent.slots import BootRecord, read_record
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.simulated_device.device import Device, DeviceOptions
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.faults import Faults
from simulator.simulated_device.installing import InstallingDevice, InstallingOptions
from simulator.simulated_device.simulated_updates import UpdateSettings
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.simulator.simulated_device.package_server import package_server
from tests.simulator.simulated_device.relay import Relay, relay
from tests.waiting import eventually

PAYLOAD = {"fwPackageUri": "test.com", "rolloutId": "r1", "attempt": 1, "version": "2.4.0"}


@dataclass(frozen=True, slots=True)
class Far:
    """A hub that devices reach through a relay."""

    hub: LocalHub
    wire: Relay
    address: str
    owner: FleetOwner

    def credentials(self, device_id: str) -> Credentials:
        return Credentials(
            connection_string=f"{self.hub.create_device(device_id)};GatewayHostName={self.address}",
            ca=self.hub.ca_file.read_text(),
        )

    def device(self, device_id: str, stage_seconds: float) -> Device:
        return Device(
            DeviceOptions(
                credentials=self.credentials(device_id),
                update_settings=UpdateSettings(stage_delay=timedelta(seconds=stage_seconds)),
                response_timeout_seconds=2,
            )
        )

    def installing(self, device_id: str, directory: Path, **options: Any) -> InstallingDevice:
        return InstallingDevice(
            InstallingOptions(
                credentials=self.credentials(device_id),
                directory=directory,
                policy=Policy(model="thermostat-x1"),
                **options,
            )
        )


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    address = free_address()
    options = HubOptions(
        certificates=tmp_path,
        address=free_address(),
        https_port=0,
        mqtt_port=0,
        host_names=(address,),
    )
    with LocalHub(options) as hub, relay(address, (options.address, hub.mqtt_port)) as wire:
        yield Far(hub, wire, address, FleetOwner(hub.connection_string, hub.ca_file))


def test_a_device_keeps_trying_to_reach_its_hub(far: Far, devices: DeviceThread) -> None:
    far.wire.cut()
    device = far.device("d1", stage_seconds=0)
    devices.start(device)
    assert not device.standing_by.wait(1)

    far.wire.mend()

    assert device.standing_by.wait(20)


def test_an_update_continues_after_the_connection_was_lost(far: Far, devices: DeviceThread) -> None:
    device = far.device("d1", stage_seconds=0.5)
    devices.start(device)
    assert device.standing_by.wait(20)
    far.owner.invoke("d1", PAYLOAD)
    far.owner.wait_for("d1", "downloading")
    far.wire.cut()
    eventually(lambda: far.owner.connection_state("d1") == "Disconnected", what="offline")

    far.wire.mend()

    assert far.owner.wait_for("d1", "completed")["firmwareUpdate"]["attempt"] == 1


def test_an_idle_device_reconnects_and_responds_to_methods(far: Far, devices: DeviceThread) -> None:
    device = far.device("d1", stage_seconds=0)
    devices.start(device)
    assert device.standing_by.wait(20)
    far.wire.cut()
    eventually(lambda: far.owner.connection_state("d1") == "Disconnected", what="offline")

    far.wire.mend()

    eventually(lambda: far.owner.connection_state("d1") == "Connected", what="online")
    assert far.owner.invoke("d1", PAYLOAD)[0] == 200
    far.owner.wait_for("d1", "completed")


def test_a_downloading_device_reconnects_and_responds_to_methods(
    far: Far, devices: DeviceThread, tmp_path: Path
) -> None:
    with package_server(bytes(1_000_000)) as server:
        device = far.installing("d1", tmp_path, faults=Faults(bytes_per_second=25_000))
        devices.start(device)
        assert device.standing_by.wait(20)
        payload = PAYLOAD | {"fwPackageUri": server.url}
        far.owner.invoke("d1", payload)
        far.owner.wait_for("d1", "downloading")
        far.wire.cut()
        eventually(lambda: far.owner.connection_state("d1") == "Disconnected", what="offline")

        far.wire.mend()

        eventually(lambda: far.owner.connection_state("d1") == "Connected", what="online")
        assert far.owner.invoke("d1", payload | {"attempt": 2})[0] == 409
        devices.stop("d1")


def test_new_firmware_that_does_not_reach_the_hub_in_time_is_reverted(
    far: Far, devices: DeviceThread, tmp_path: Path
) -> None:
    with package_server(bytes(100_000)) as server:
        device = far.installing("d1", tmp_path, restart_seconds=1, trial_seconds=1)
        devices.start(device)
        assert device.standing_by.wait(20)
        far.owner.invoke("d1", PAYLOAD | {"fwPackageUri": server.url})
        far.owner.wait_for("d1", "applying")
        far.wire.cut()
        given_up = BootRecord(active="a", trial="b", starts_left=0)
        # A report that is under way when the connection is cut waits 10 s for its response.
        eventually(
            lambda: read_record(FolderStorage(tmp_path)) == given_up, what="reverted", seconds=60
        )

        far.wire.mend()

        reported = far.owner.wait_for("d1", "failed")
    assert reported["firmwareUpdate"]["errorCode"] == "reverted"
    assert "did not reach the hub" in reported["firmwareUpdate"]["errorMessage"]
    assert reported["firmwareVersion"] == "1.0.0"


def test_a_disconnected_device_stops_at_once(far: Far) -> None:
    far.wire.cut()
    with DeviceThread() as devices:
        devices.start(far.device("d1", stage_seconds=0))
