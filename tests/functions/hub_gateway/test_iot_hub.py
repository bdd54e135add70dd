"""The gateway through the real SDK to the local hub, with a real device on the other side."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.iot.device import IoTHubDeviceClient, MethodRequest, MethodResponse
from azure.iot.hub.models import Twin

from functions.errors import HubUnavailableError, SettingsError
from functions.hub_gateway import iot_hub, query_text
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.port import ConditionError
from functions.rollouts.device_update import MethodAnswer
from functions.rollouts.method_outcome import (
    Answered,
    DeviceOffline,
    HubRefused,
    Lost,
    NotDelivered,
)
from functions.rollouts.start_order import Member
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from tests.ports import free_ports

ODD_IDS = ["a#b", "a?b", "a%2Fb", "a'b", "a%b", "A", "(!*$)", "x" * 128]


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
    """A connected device that answers the method `echo` with what it was given."""
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


def test_a_twin_comes_with_the_hubs_time_of_each_property(
    gateway: IotHub, device: IoTHubDeviceClient
) -> None:
    device.patch_twin_reported_properties({"firmwareStatus": "standBy", "nested": {"a": 1}})
    twin = gateway.twin("online")
    assert twin is not None
    assert twin.connected
    assert twin.reported == {"firmwareStatus": "standBy", "nested": {"a": 1}}
    assert set(twin.reported_at) == {"firmwareStatus", "nested"}
    assert all(at.tzinfo is not None for at in twin.reported_at.values())


def test_a_device_that_the_hub_does_not_know_has_no_twin(gateway: IotHub) -> None:
    assert gateway.twin("ghost") is None
    assert gateway.fresh_twins(["ghost", "phantom"]) == {"ghost": None, "phantom": None}


def test_device_ids_of_any_legal_form_are_read_and_queried(gateway: IotHub, hub: LocalHub) -> None:
    for device_id in ODD_IDS:
        hub.create_device(device_id)
    twins = gateway.fresh_twins(ODD_IDS)
    assert {key for key, twin in twins.items() if twin and twin.device_id == key} == set(ODD_IDS)
    assert set(gateway.twins([*ODD_IDS, "ghost"])) == set(ODD_IDS)


def test_many_twins_take_several_queries(gateway: IotHub, hub: LocalHub) -> None:
    device_ids = [f"{'long-name-' * 10}{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.twins(device_ids)) == set(device_ids)


def test_an_answer_is_the_devices_own(gateway: IotHub, device: IoTHubDeviceClient) -> None:
    assert device.connected
    outcome = gateway.invoke("online", "echo", {"a": [1, None]})
    assert outcome == Answered(MethodAnswer(status=207, payload={"a": [1, None]}))


@pytest.mark.usefixtures("device")
def test_several_devices_are_asked_side_by_side(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("sleeping")
    called = gateway.invoke_all("echo", {"online": {}, "sleeping": {}, "ghost": {}})
    outcomes = called.outcomes
    assert called.throttled == 0
    assert 0 < called.seconds < 5
    assert isinstance(outcomes["online"], Answered)
    assert outcomes["sleeping"] == DeviceOffline()
    assert isinstance(outcomes["ghost"], HubRefused)


@pytest.mark.usefixtures("device")
def test_a_device_that_does_not_answer_leaves_the_outcome_open(
    gateway: IotHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_hub, "METHOD_RESPONSE_SECONDS", 5)
    assert isinstance(gateway.invoke("online", "silence", {}), Lost)


def test_a_hub_that_cannot_be_reached_got_nothing() -> None:
    (port,) = free_ports(1)
    gateway = open_iot_hub(
        f"HostName=127.0.0.1:{port};SharedAccessKeyName=x;SharedAccessKey=YQ==", None
    )
    assert isinstance(gateway.invoke("any", "echo", {}), NotDelivered)
    with pytest.raises(HubUnavailableError):
        gateway.twin("any")
    with pytest.raises(HubUnavailableError):
        gateway.twins(["any"])


def test_a_hub_that_nobody_vouches_for_got_nothing(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    gateway = open_iot_hub(hub.connection_string, None)
    assert isinstance(gateway.invoke("online", "echo", {}), NotDelivered)


def test_a_wrong_key_is_an_unavailable_hub(gateway: IotHub, hub: LocalHub) -> None:
    wrong = hub.connection_string.rsplit("=", 2)[0] + "=d3Jvbmc="
    stranger = open_iot_hub(wrong, None)
    assert isinstance(stranger.invoke("online", "echo", {}), NotDelivered)
    with pytest.raises(HubUnavailableError, match="401"):
        stranger.ping()
    gateway.ping()


@pytest.mark.parametrize(
    "text", ["", "HostName=h", "HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0", "c2VjcmV0"]
)
def test_a_connection_string_that_cannot_be_one_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="IOTHUB_CONNECTION_STRING") as caught:
        open_iot_hub(text, None)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture
def breaking_hub(hub: LocalHub) -> Iterator[tuple[str, list[bytes]]]:
    """Takes a whole request over good TLS, then answers with a record that cannot be decrypted."""
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


def test_a_method_that_went_out_is_never_sent_again_by_the_transport(
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


def test_methods_that_waited_too_long_for_their_turn_are_not_sent(
    gateway: IotHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iot_hub, "SENT_WITHIN_SECONDS", -1)
    called = gateway.invoke_all("echo", {"online": {}, "sleeping": {}})
    assert all(isinstance(outcome, NotDelivered) for outcome in called.outcomes.values())


def test_a_query_is_read_to_its_last_page(
    gateway: IotHub, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub gives at most 100 twins a page, whatever it is asked for."""
    monkeypatch.setattr(query_text, "ROWS_AT_MOST", 150)
    device_ids = [f"p{n:03d}" for n in range(150)]
    for device_id in device_ids:
        hub.create_device(device_id)
    assert set(gateway.twins(device_ids)) == set(device_ids)


def test_a_condition_is_matched_page_by_page_with_the_values_that_waves_are_spread_over(
    gateway: IotHub, hub: LocalHub
) -> None:
    models = ["a", 7, True, None]
    for number in range(120):
        hub.create_device(f"m{number:03d}")
        model = models[number % 4]
        tags = {"site": "berlin"} | ({} if model is None else {"model": model})
        _tag(gateway, f"m{number:03d}", tags)
    first = gateway.matches("tags.site = 'berlin'", ["tags.model", "tags.site"], None)
    assert len(first.members) == 100
    assert first.cursor is not None
    rest = gateway.matches("tags.site = 'berlin'", ["tags.model", "tags.site"], first.cursor)
    assert rest.cursor is None
    found = [*first.members, *rest.members]
    assert len({member.device_id for member in found}) == 120
    assert {member.stratum for member in found} == {
        "a/berlin",
        "7/berlin",
        "True/berlin",
        "/berlin",
    }
    assert gateway.count("tags.site = 'berlin' OR tags.site = 'nowhere'") == 120
    assert gateway.count("tags.site = 'nowhere'") == 0
    assert gateway.matches("tags.site = 'nowhere'", [], None).members == []
    some = gateway.members(["m000", "m001", "ghost"], ["tags.model"])
    assert set(some) == {Member("m000", "a"), Member("m001", "7")}


def _tag(gateway: IotHub, device_id: str, tags: dict[str, Any]) -> None:
    gateway._registry.update_twin(device_id, Twin(tags=tags))  # noqa: SLF001 - tags are set by hand


@pytest.mark.parametrize("condition", ["tags.site =", "drop table devices", "1 = 1)", "' or 1 = 1"])
def test_a_condition_that_is_none_is_refused_in_the_hubs_words(
    gateway: IotHub, condition: str
) -> None:
    for ask in (
        lambda: gateway.matches(condition, [], None),
        lambda: gateway.count(condition),
    ):
        with pytest.raises(ConditionError, match=r"\w"):
            ask()


def test_a_cursor_that_the_hub_does_not_know_is_refused(gateway: IotHub) -> None:
    with pytest.raises(ConditionError):
        gateway.matches("tags.site = 'berlin'", [], "bm9uc2Vuc2U=")


@pytest.mark.usefixtures("device")
def test_only_the_connected_are_named(gateway: IotHub, hub: LocalHub) -> None:
    hub.create_device("asleep")
    assert gateway.connected(["online", "asleep", "ghost"]) == {"online"}


def test_one_connection_serves_many_calls(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A credential that cannot sign in."""

    def get_token(self, *_: str, **__: Any) -> Any:
        raise ClientAuthenticationError("no identity here")


def test_an_identity_that_cannot_sign_in_is_an_unavailable_hub() -> None:
    with pytest.raises(HubUnavailableError, match="sign in"):
        open_iot_hub("hub.example", NoToken())
