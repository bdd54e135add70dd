"""Test two hundred simulated devices on a local hub, over real sockets."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.simulated_fleet.command import authority, make_devices
from simulator.simulated_fleet.fleet import Fleet, HubEndpoint
from simulator.simulated_fleet.hub_address import HubAddress
from simulator.simulated_fleet.options import FleetOptions
from simulator.simulated_fleet.registration import RegistrationError, register
from simulator.simulated_fleet.shares import Fault, Shares, choose_faults
from simulator.simulated_fleet.tally import Tally
from tests.simulator.hub.conftest import service_client
from tests.waiting import eventually

DEVICES = 200
SHARES = Shares(fail=Decimal(5), hang=Decimal(5), offline=Decimal(10), revert=Decimal(5))
UPDATE = {"fwPackageUri": "https://x.example/fw", "rolloutId": "r", "attempt": 1, "version": "2.0"}


class RunningFleet:
    """A fleet that runs in its own thread."""

    def __init__(self, options: FleetOptions) -> None:
        self.chosen = choose_faults(options.device_ids, options.shares, options.seed)
        self._options = options
        self._stop: Callable[[], object] = lambda: None
        self._fleet: Fleet | None = None
        self.left_over: set[asyncio.Task[Any]] = set()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def tally(self) -> Tally | None:
        return self._fleet.tally() if self._fleet else None

    def stop(self) -> None:
        """Stop the fleet and wait for its end, also if it has failed."""
        self._stop()
        self.thread.join()

    async def _run(self) -> None:
        options = self._options
        address = HubAddress.parse(options.connection_string)
        context = ssl.create_default_context(cafile=options.ca)
        keys = await register(address, context, options.device_ids)
        endpoint = HubEndpoint(host=address.host, port=options.mqtt_port, context=context)
        self._fleet = Fleet(endpoint, make_devices(options, self.chosen), keys, seed=1)
        task = asyncio.create_task(self._fleet.run())
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait({task})
        self.left_over = asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    options = HubOptions(certificates=tmp_path, address=free_address(), https_port=0, mqtt_port=0)
    with LocalHub(options) as running:
        yield running


def options_for(hub: LocalHub, **changes: Any) -> FleetOptions:
    values: dict[str, Any] = {
        "connection_string": hub.connection_string,
        "mqtt_port": hub.mqtt_port,
        "devices": DEVICES,
        "prefix": "simulated-",
        "seed": 1,
        "shares": SHARES,
        "stage_seconds": 0.1,
        "offline_seconds": 1,
        "ca": hub.ca_file,
    }
    return FleetOptions(**values | changes)


@contextmanager
def running(options: FleetOptions) -> Iterator[RunningFleet]:
    fleet = RunningFleet(options)
    fleet.thread.start()
    try:
        yield fleet
    finally:
        fleet.stop()


def call(service: IoTHubRegistryManager, device_id: str) -> int:
    request = CloudToDeviceMethod(
        method_name="firmwareUpdate",
        payload=UPDATE,
        response_timeout_in_seconds=20,
        connect_timeout_in_seconds=10,
    )
    status: int = service.invoke_device_method(device_id, request).status
    return status


def test_a_fleet_is_updated_with_the_fault_of_each_device(hub: LocalHub) -> None:
    service = service_client(hub, hub.connection_string)
    with running(options_for(hub)) as fleet:
        eventually(lambda: (tally := fleet.tally()) and tally.connects >= DEVICES + 20, seconds=60)

        with ThreadPoolExecutor(8) as threads:
            responses = set(threads.map(lambda id_: call(service, id_), fleet.chosen))

        assert responses == {200}
        expected = {"completed": 170, "failed": 10, "updating": 10, "reverted": 10}
        eventually(
            lambda: (
                (tally := fleet.tally())
                and expected == {name: getattr(tally, name) for name in expected}
            )
        )
        reported = {
            fault: service.get_twin(device_id).properties.reported
            for device_id, fault in fleet.chosen.items()
        }
    service.protocol.close()

    assert reported[Fault.NONE]["firmwareVersion"] == "2.0"
    assert reported[Fault.REVERTING]["firmwareVersion"] == "1.0.0"
    assert reported[Fault.FAILING]["firmwareUpdate"]["errorCode"] == "simulatedFailure"
    assert reported[Fault.HANGING]["firmwareStatus"] == "downloading"
    assert not fleet.left_over


def test_a_fleet_reconnects_to_a_restarted_hub(tmp_path: Path) -> None:
    first = HubOptions(
        certificates=tmp_path,
        address=free_address(),
        https_port=0,
        mqtt_port=0,
        state_file=tmp_path / "state",
    )
    with ExitStack() as first_life:
        hub = first_life.enter_context(LocalHub(first))
        options = options_for(hub, devices=20, shares=Shares())
        again = replace(first, mqtt_port=options.mqtt_port)
        with running(options) as fleet:
            eventually(lambda: (tally := fleet.tally()) and tally.connected == 20)
            first_life.close()
            eventually(lambda: (tally := fleet.tally()) and tally.connected == 0)
            with LocalHub(again):
                eventually(lambda: (tally := fleet.tally()) and tally.connected == 20)
    assert not fleet.left_over


def test_a_refused_registration_is_raised_with_its_status(hub: LocalHub) -> None:
    address = HubAddress.parse(hub.connection_string)
    wrong = HubAddress(host=address.host, https_port=hub.https_port, policy="x", key="a2V5")
    context = ssl.create_default_context(cafile=hub.ca_file)

    with pytest.raises(RegistrationError, match="401"):
        asyncio.run(register(wrong, context, ["simulated-1"]))


def test_the_service_connection_string_is_read_and_never_repeated(tmp_path: Path) -> None:
    local = tmp_path / "ca.pem"
    text = "HostName=localhost:8443;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0"
    address = HubAddress.parse(text)

    assert (address.url, address.policy) == ("https://localhost:8443", "owner")
    assert "c2VjcmV0" not in repr(address)
    assert authority(text, None, local) is None
    local.touch()
    assert authority(text, None, local) == local
    assert authority(text.replace("localhost", "hub.example"), None, local) is None
    with pytest.raises(ValueError, match="lacks HostName") as error:
        HubAddress.parse("SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0")
    assert "c2VjcmV0" not in str(error.value)
