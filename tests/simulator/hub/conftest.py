"""A hub, and the SDKs connected to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address

type Connect = Callable[..., IoTHubDeviceClient]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of certificates, created once per run."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture
def options(certificates: Path) -> HubOptions:
    """Return options with an own address, because the device SDK needs port 8883."""
    return HubOptions(certificates=certificates, address=free_address(), https_port=0)


@pytest.fixture
def hub(options: HubOptions) -> Iterator[LocalHub]:
    with LocalHub(options) as running:
        yield running


@pytest.fixture
def service(hub: LocalHub) -> Iterator[IoTHubRegistryManager]:
    """Return Microsoft's service SDK as iothubowner; it trusts the hub's authority."""
    manager = service_client(hub, hub.connection_string)
    yield manager
    manager.protocol.close()


def service_client(hub: LocalHub, connection_string: str) -> IoTHubRegistryManager:
    manager = IoTHubRegistryManager.from_connection_string(connection_string)
    manager.protocol.config.connection.verify = str(hub.ca_file)
    manager.protocol.config.keep_alive = True
    return manager


@pytest.fixture
def connect(hub: LocalHub) -> Iterator[Connect]:
    """Make clients of Microsoft's device SDK, with its options; shut them down after the test."""
    trusted = hub.ca_file.read_text()
    with ExitStack() as clients:

        def client(connection_string: str, **options: Any) -> IoTHubDeviceClient:
            made = IoTHubDeviceClient.create_from_connection_string(
                connection_string, server_verification_cert=trusted, **options
            )
            clients.callback(made.shutdown)
            return made

        yield client
