"""Test the gateway through the real SDK, with the local hub and a connected device."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.iot.device import IoTHubDeviceClient

from functions.errors import HubUnavailableError, SettingsError
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.port import Invocations
from functions.hub_gateway.sdk_client import HubTimeouts
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    Lost,
    MethodResponse,
    NotDelivered,
    Responded,
)
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.metering import Operation
from tests.ports import free_ports

ODD_IDS = ["a#b", "a?b", "a%2Fb", "a'b", "a%b", "A", "(!*$)", "x" * 128]


def test_a_twin_has_the_hubs_time_of_each_reported_property(
    gateway: IotHub, device: IoTHubDeviceClient
) -> None:
    device.patch_twin_reported_properties({"firmwareStatus": "standBy", "nested": {"a": 1}})
    twin = gateway.read_twin("online")
    assert twin is not None
    assert twin.connected
    assert twin.reported == {"firmwareStatus": "standBy", "nested": {"a": 1}}
    assert set(twin.reported_at) == {"firmwareStatus", "nested"}
    assert all(time.tzinfo is not None for time in twin.reported_at.values())


def test_an_unknown_device_has_no_twin(gateway: IotHub) -> None:
    assert gateway.read_twin("ghost") is None
    assert gateway.read_twins(["ghost", "phantom"]) == {"ghost": None, "phantom": None}


def test_every_valid_form_of_device_id_is_read_and_queried(gateway: IotHub, hub: LocalHub) -> None:
    for device_id in ODD_IDS:
        hub.create_device(device_id)
    twins = gateway.read_twins(ODD_IDS)
    assert {key for key, twin in twins.items() if twin and twin.device_id == key} == set(ODD_IDS)
    assert set(gateway.query_twins([*ODD_IDS, "ghost"])) == set(ODD_IDS)


def test_the_response_is_the_devices_own(gateway: IotHub, device: IoTHubDeviceClient) -> None:
    assert device.connected
    outcome = gateway.invoke("online", "echo", {"a": [1, None]})
    assert outcome == Responded(MethodResponse(status=207, payload={"a": [1, None]}))


@pytest.mark.usefixtures("device")
def test_several_devices_are_invoked_at_the_same_time(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("sleeping")
    called = gateway.invoke_all("echo", {"online": {}, "sleeping": {}, "ghost": {}})
    outcomes = called.outcomes
    assert called.throttled == 0
    assert 0 < called.seconds < 5
    assert isinstance(outcomes["online"], Responded)
    assert outcomes["sleeping"] == DeviceOffline()
    assert outcomes["ghost"] == DeviceUnknown()


@pytest.mark.usefixtures("device")
def test_a_method_without_a_response_in_time_is_lost(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    gateway = open_iot_hub(hub.connection_string, None, HubTimeouts(method_response=5))
    assert isinstance(gateway.invoke("online", "silence", {}), Lost)


def test_a_method_to_an_unreachable_hub_is_not_delivered() -> None:
    (port,) = free_ports(1)
    gateway = open_iot_hub(
        f"HostName=127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=YQ==", None
    )
    assert isinstance(gateway.invoke("any", "echo", {}), NotDelivered)
    with pytest.raises(HubUnavailableError):
        gateway.read_twin("any")
    with pytest.raises(HubUnavailableError):
        gateway.query_twins(["any"])


def test_a_method_to_a_hub_with_an_untrusted_certificate_is_not_delivered(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    gateway = open_iot_hub(hub.connection_string, None)
    assert isinstance(gateway.invoke("online", "echo", {}), NotDelivered)


def test_a_hub_that_refuses_the_key_is_unavailable(gateway: IotHub, hub: LocalHub) -> None:
    wrong = hub.connection_string.rsplit("=", 2)[0] + "=d3Jvbmc="
    stranger = open_iot_hub(wrong, None)
    assert isinstance(stranger.invoke("online", "echo", {}), NotDelivered)
    with pytest.raises(HubUnavailableError, match="401"):
        stranger.ping()
    gateway.ping()


@pytest.mark.parametrize(
    "text", ["", "HostName=h", "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0", "c2VjcmV0"]
)
def test_an_invalid_connection_string_is_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(SettingsError, match="IOTHUB_CONNECTION_STRING") as caught:
        open_iot_hub(text, None)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture
def breaking_hub(hub: LocalHub) -> Iterator[tuple[str, list[bytes]]]:
    """Receive a whole request over valid TLS, then send a record that cannot be decrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(hub.ca_file.parent / "hub.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError):
                connection = context.wrap_socket(plain, server_side=True)
                received.append(connection.recv(65536))
                os.write(connection.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", received
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_method_that_was_sent_is_not_repeated_by_the_sdk(
    hub: LocalHub, breaking_hub: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    address, received = breaking_hub
    gateway = open_iot_hub(
        f"HostName={address};SharedAccessKeyName=iothubowner;SharedAccessKey=YQ==", None
    )
    assert isinstance(gateway.invoke("any", "echo", {}), Lost)
    assert len(received) == 1
    assert received[0].startswith(b"POST /twins/any/methods")


def test_methods_that_got_no_thread_in_time_are_not_sent(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    gateway = open_iot_hub(hub.connection_string, None, HubTimeouts(method_start=-1))
    assert gateway.invoke_all("echo", {"online": {}, "sleeping": {}}) == Invocations(outcomes={})


@pytest.mark.usefixtures("device")
def test_methods_are_sent_only_while_they_may_be(gateway: IotHub) -> None:
    may_send = iter([True, False, False]).__next__
    called = gateway.invoke_all("echo", {"online": {}, "sleeping": {}, "ghost": {}}, may_send)
    assert len(called.outcomes) == 1


def test_throttled_methods_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    throttling = Fault(
        action=Action.ERROR,
        operations=frozenset({Operation.METHOD}),
        devices=("busy-*",),
        status=429,
    )
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"),
        address=free_address(),
        https_port=0,
        faults=FaultPlan(faults=(throttling,)),
    )
    with LocalHub(options) as busy:
        for device_id in ("busy-1", "busy-2", "asleep"):
            busy.create_device(device_id)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(busy.ca_file))
        gateway = open_iot_hub(busy.connection_string, None)
        called = gateway.invoke_all("echo", {"busy-1": {}, "busy-2": {}, "asleep": {}})
    assert called.throttled == 2
    assert called.outcomes["asleep"] == DeviceOffline()
    refused = called.outcomes["busy-1"]
    assert isinstance(refused, NotDelivered)
    assert refused.throttled


def test_no_devices_have_no_outcomes(gateway: IotHub) -> None:
    assert gateway.invoke_all("echo", {}) == Invocations(outcomes={})


def test_calls_share_one_connection(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    gateway = open_iot_hub(hub.connection_string, None)
    wrapped: list[str | None] = []
    wrap = ssl.SSLContext.wrap_socket

    def count(*arguments: Any, **more: Any) -> Any:
        wrapped.append(more.get("server_hostname"))
        return wrap(*arguments, **more)

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", count)
    for _ in range(5):
        gateway.ping()
    assert len(wrapped) == 1


class NoToken:
    """A credential that returns no token."""

    def get_token(self, *_: str, **__: Any) -> Any:
        raise ClientAuthenticationError("no identity here")


def test_without_a_token_the_hub_is_unavailable() -> None:
    with pytest.raises(HubUnavailableError, match="sign in"):
        open_iot_hub("hub.example", NoToken())
