"""Fixtures: a local hub and devices that connect to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.simulated_device.device_thread import DeviceThread
from tests.simulator.simulated_device.fleet_owner import FleetOwner


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Run one hub for all tests here; each test uses its own device id."""
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"), address=free_address(), https_port=0
    )
    with LocalHub(options) as running:
        yield running


@pytest.fixture(scope="package")
def owner(hub: LocalHub) -> FleetOwner:
    """Return the service side of the fleet."""
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
    """Return the test's name, without characters that a device id cannot hold."""
    return "".join(sign for sign in Path(request.node.name).name if sign.isalnum() or sign == "_")
