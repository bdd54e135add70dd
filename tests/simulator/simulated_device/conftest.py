"""A local hub, and devices against it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.simulated_device.device_thread import DeviceThread
from tests.simulator.simulated_device.fleet_owner import FleetOwner


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One hub for all tests here: each takes a device id of its own."""
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"), address=free_address(), https_port=0
    )
    with LocalHub(options) as running:
        yield running


@pytest.fixture(scope="package")
def owner(hub: LocalHub) -> FleetOwner:
    """Whoever runs the fleet, with the service SDK in hand."""
    return FleetOwner(hub.connection_string, hub.ca_file)


@pytest.fixture(scope="package")
def ca(hub: LocalHub) -> str:
    return hub.ca_file.read_text()


@pytest.fixture
def devices() -> Iterator[DeviceThread]:
    with DeviceThread() as thread:
        yield thread


@pytest.fixture
def device_id(request: pytest.FixtureRequest) -> str:
    """The test's own name, without what a device id cannot hold."""
    return "".join(sign for sign in Path(request.node.name).name if sign.isalnum() or sign == "_")
