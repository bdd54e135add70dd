"""MQTT over WebSocket. Both device SDKs need port 443, so the test has an own address."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address, is_free
from simulator.hub.mqtt.encoding import encode
from simulator.hub.mqtt.packets import ConnAck, Connect, PingReq, PingResp
from simulator.paths import find_node
from tests.simulator.hub.conftest import service_client
from tests.simulator.hub.test_mqtt_connection import connect_packet
from tests.simulator.hub.test_with_node_sdks import SDKS
from tests.simulator.hub.test_with_sdks import respond_to_methods
from tests.simulator.hub.websocket_line import BINARY, CLOSE, TEXT, WebSocketLine
from tests.waiting import eventually

WEBSOCKET_SCENARIO = Path(__file__).parent / "node" / "websocket.js"


@pytest.fixture
def on_443(certificates: Path) -> Iterator[LocalHub]:
    address = free_address()
    if not is_free(address, 443):
        pytest.skip("port 443, which the device SDKs insist on, cannot be bound: not root?")
    options = HubOptions(certificates=certificates, address=address, https_port=443, mqtt_port=0)
    with LocalHub(options) as hub:
        yield hub


@pytest.fixture
def service_on_443(on_443: LocalHub) -> Iterator[IoTHubRegistryManager]:
    manager = service_client(on_443, on_443.connection_string)
    yield manager
    manager.protocol.close()


def call(service: IoTHubRegistryManager, name: str) -> object:
    request = CloudToDeviceMethod(method_name=name, payload={"a": 1})
    return service.invoke_device_method("one", request).payload


def test_the_python_sdk_does_over_websocket_what_it_does_over_tcp(
    on_443: LocalHub, service_on_443: IoTHubRegistryManager
) -> None:
    device = IoTHubDeviceClient.create_from_connection_string(
        on_443.create_device("one"),
        server_verification_cert=on_443.ca_file.read_text(),
        websockets=True,
    )
    try:
        respond_to_methods(device)
        device.patch_twin_reported_properties({"big": {str(n): "x" * 1000 for n in range(20)}})
        assert device.get_twin()["reported"]["$version"] == 2
        device.send_message("x" * 100_000)
        assert call(service_on_443, "x") == {"name": "x", "got": {"a": 1}}
        device.disconnect()
        eventually(lambda: service_on_443.get_twin("one").connection_state == "Disconnected")
        device.connect()
        assert call(service_on_443, "y") == {"name": "y", "got": {"a": 1}}
    finally:
        device.shutdown()


def test_the_node_sdk_does_over_websocket_what_it_does_over_tcp(
    on_443: LocalHub, service_on_443: IoTHubRegistryManager
) -> None:
    node = find_node()
    if node is None or not SDKS.is_dir():
        pytest.skip("Node, or its SDKs, are not installed: `make test` installs them")
    command = [node, str(WEBSOCKET_SCENARIO), on_443.create_device("one")]
    variables = {"NODE_EXTRA_CA_CERTS": str(on_443.ca_file), "NODE_PATH": str(SDKS)}
    with subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, text=True
    ) as device:
        eventually(lambda: "over" in service_on_443.get_twin("one").properties.reported)
        request = CloudToDeviceMethod(
            method_name="end", payload={"a": 1}, connect_timeout_in_seconds=10
        )
        assert service_on_443.invoke_device_method("one", request).payload == {"got": {"a": 1}}
        output, _errors = device.communicate(timeout=20)
    assert (device.returncode, output) == (0, '{"version":1}')


class TestFrames:
    """With a client that cuts the stream as it likes."""

    @pytest.fixture
    def options(self, options: HubOptions) -> HubOptions:
        return HubOptions(
            certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
        )

    @pytest.fixture
    def packet(self, hub: LocalHub) -> Connect:
        return connect_packet(hub.create_device("one"))

    @pytest.fixture
    def line(self, hub: LocalHub, options: HubOptions) -> Iterator[WebSocketLine]:
        made = WebSocketLine(hub, options.address)
        yield made
        made.line.socket.close()

    def test_packets_may_be_cut_and_joined_anywhere(
        self, line: WebSocketLine, packet: Connect
    ) -> None:
        stream = encode(packet) + encode(PingReq()) * 3
        for start in range(0, len(stream), 7):
            line.send_frame(BINARY, stream[start : start + 7])
        assert line.receive(4) == [ConnAck(0), PingResp(), PingResp(), PingResp()]

    def test_a_text_frame_ends_the_connection(self, line: WebSocketLine, packet: Connect) -> None:
        line.send(packet)
        assert line.receive(1) == [ConnAck(0)]
        line.send_frame(TEXT, b"hello")
        assert line.line.ends()

    def test_the_hub_closes_with_a_close_frame(self, line: WebSocketLine, packet: Connect) -> None:
        line.send(packet, packet)
        assert line.receive(1) == [ConnAck(0)]
        opcode, payload = line.receive_frame()
        assert (opcode, payload[:2]) == (CLOSE, (1000).to_bytes(2))
        line.send_frame(CLOSE, payload)
        assert line.line.ends()

    def test_a_peer_that_does_not_close_is_aborted(
        self, line: WebSocketLine, packet: Connect
    ) -> None:
        line.send(packet, packet)
        assert line.receive(1) == [ConnAck(0)]
        assert line.receive_frame()[0] == CLOSE
        assert line.line.ends()

    def test_without_the_subprotocol_there_is_no_upgrade(
        self, hub: LocalHub, options: HubOptions
    ) -> None:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        address = url(hub, options)
        response = requests.get(address, headers=upgrade, verify=str(hub.ca_file), timeout=10)
        assert response.status_code == 400
        plain = requests.get(
            address,
            headers={"Sec-WebSocket-Protocol": "mqtt"},
            verify=str(hub.ca_file),
            timeout=10,
        )
        assert plain.status_code == 400


def url(hub: LocalHub, options: HubOptions) -> str:
    return f"https://{options.address}:{hub.https_port}/$iothub/websocket"
