"""Provide a local hub, a gateway to it through the real SDK, and a connected device."""

from collections.abc import Iterator

import pytest
from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse

from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    certificates = tmp_path_factory.mktemp("certificates")
    options = HubOptions(certificates=certificates, address=free_address(), https_port=0)
    with LocalHub(options) as running:
        yield running


@pytest.fixture
def gateway(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> IotHub:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    return open_iot_hub(hub.connection_string, None)


@pytest.fixture(scope="module")
def device(hub: LocalHub) -> Iterator[IoTHubDeviceClient]:
    """Connect a device that responds to the method `echo` with its payload."""
    client = IoTHubDeviceClient.create_from_connection_string(
        hub.create_device("online"), server_verification_cert=hub.ca_file.read_text()
    )

    def handle(request: MethodRequest) -> None:
        if request.name == "echo":
            client.send_method_response(
                MethodResponse.create_from_method_request(request, 207, request.payload)
            )

    client.on_method_request_received = handle
    yield client
    client.shutdown()
