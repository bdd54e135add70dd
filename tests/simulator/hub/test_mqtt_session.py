"""A device's session: its responses to packets."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import Status
from simulator.hub.model.errors import HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.methods import MethodRequest, MethodResponse
from simulator.hub.model.twins import read_twin_write
from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from simulator.hub.mqtt.session import Session, SessionClosed
from tests.simulator.hub.builders import NOW, make_device, make_hub, settings, token

METHODS = "$iothub/methods/POST/#"
TWIN = "$iothub/twin/res/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"


@dataclass
class Wire:
    """An outlet that decodes the bytes written to it."""

    sent: list[Packet] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    suspended: list[bool] = field(default_factory=list)
    on_close: Callable[[], None] = lambda: None

    def on_accepted(self) -> None:
        pass

    def suspend(self, *, suspended: bool) -> None:
        self.suspended.append(suspended)

    def write(self, data: bytes, /) -> None:
        self.sent += Decoder().feed(data)

    def close(self, reason: str, /) -> None:
        self.closed.append(reason)
        self.on_close()

    def taken(self) -> list[Packet]:
        """Return the packets sent since the last call."""
        taken, self.sent = self.sent, []
        return taken


@dataclass
class Peer:
    """One device with its session and what the session sends."""

    hub: Hub
    device_id: str = "one"
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.session = Session(self.hub, self.wire)

    def connect(self, **changes: object) -> list[Packet]:
        key = self.hub.registry.get("one").authentication.primary_key
        fields: dict[str, object] = {
            "client_id": self.device_id,
            "clean_session": False,
            "keep_alive": 60,
            "user_name": f"localhost/{self.device_id}/?api-version=2021-04-12",
            "password": token(f"localhost/devices/{self.device_id}", key).encode(),
        }
        self.session.receive(Connect(**fields | changes))  # type: ignore[arg-type]
        return self.wire.taken()

    def send(self, packet: Packet) -> list[Packet]:
        self.session.receive(packet)
        return self.wire.taken()

    def subscribe(self, *filters: str) -> list[Packet]:
        return self.send(Subscribe(7, tuple((name, 1) for name in filters)))


@pytest.fixture
def hub() -> Hub:
    hub = make_hub()
    make_device(hub)
    return hub


@pytest.fixture
def peer(hub: Hub) -> Peer:
    return Peer(hub)


@pytest.fixture
def connected(peer: Peer) -> Peer:
    assert peer.connect() == [ConnAck(0)]
    return peer


class TestConnecting:
    def test_the_session_knows_its_time_limits(self, peer: Peer) -> None:
        peer.connect(keep_alive=40)
        assert peer.session.max_silence_seconds == 60
        assert peer.session.expires_at == NOW + 3600

    @pytest.mark.parametrize(("keep_alive", "silence"), [(0, 1767), (1178, 1767), (1177, 1765.5)])
    def test_no_keep_alive_is_longer_than_the_hubs(
        self, peer: Peer, keep_alive: int, silence: float
    ) -> None:
        peer.connect(keep_alive=keep_alive)
        assert peer.session.max_silence_seconds == silence

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"level": 5}, 1),
            ({"client_id": ""}, 2),
            ({"user_name": None}, 4),
            ({"user_name": "example.com/one/?api-version=2021-04-12"}, 4),
            ({"user_name": "localhost/two/?api-version=2021-04-12"}, 4),
            ({"user_name": "localhost/onetwo"}, 4),
            ({"password": None}, 5),
            ({"password": b"SharedAccessSignature x"}, 5),
            ({"password": b"\xff"}, 5),
            ({"client_id": "two", "user_name": "localhost/two/"}, 5),
            ({"client_id": "one/module", "user_name": "localhost/one/module/"}, 5),
        ],
    )
    def test_a_refusal_has_a_return_code_and_closes(
        self, peer: Peer, changes: dict[str, object], code: int
    ) -> None:
        with pytest.raises(SessionClosed):
            peer.connect(**changes)
        assert peer.wire.sent == [ConnAck(code)]
        assert peer.hub.connections.count == 0

    def test_a_token_for_another_device_is_refused(self, hub: Hub, peer: Peer) -> None:
        other = make_device(hub, "two").authentication.primary_key
        with pytest.raises(SessionClosed):
            peer.connect(password=token("localhost/devices/two", other).encode())
        assert peer.wire.sent == [ConnAck(5)]

    def test_a_disabled_device_is_refused(self, hub: Hub, peer: Peer) -> None:
        key = hub.registry.get("one").authentication.primary_key
        disabled = settings("one", primary_key=key)
        object.__setattr__(disabled, "status", Status.DISABLED)
        hub.registry.update(disabled, "*")
        with pytest.raises(SessionClosed):
            peer.connect()
        assert peer.wire.sent == [ConnAck(5)]

    def test_the_first_packet_must_be_connect_and_the_only_one(self, peer: Peer) -> None:
        with pytest.raises(SessionClosed, match=r"MQTT-3\.1\.0-1"):
            peer.send(PingReq())
        peer.connect()
        with pytest.raises(SessionClosed, match=r"MQTT-3\.1\.0-2"):
            peer.connect()

    def test_subscriptions_outlive_a_connection_with_clean_session_0(self, hub: Hub) -> None:
        first = Peer(hub)
        first.connect()
        first.subscribe(METHODS)
        first.session.detach()
        assert Peer(hub).connect() == [ConnAck(0, session_present=True)]
        assert hub.connections.subscriber("one", Subscription.METHODS) is not None

    def test_a_clean_session_begins_and_ends_with_nothing(self, hub: Hub) -> None:
        first, clean, last = Peer(hub), Peer(hub), Peer(hub)
        first.connect()
        first.subscribe(METHODS)
        assert clean.connect(clean_session=True) == [ConnAck(0)]
        assert first.wire.closed
        assert hub.connections.subscriber("one", Subscription.METHODS) is None
        clean.subscribe(METHODS)
        assert last.connect() == [ConnAck(0)]
        last.subscribe(METHODS)
        first.session.detach()
        clean.session.detach()
        assert hub.connections.subscriber("one", Subscription.METHODS) is last.session


class TestSubscribing:
    def test_known_filters_get_at_most_qos_1(self, connected: Peer) -> None:
        packet = Subscribe(9, ((METHODS, 0), (TWIN, 1), (DESIRED, 2)))
        assert connected.send(packet) == [SubAck(9, (0, 1, 1))]
        assert connected.send(Unsubscribe(10, (METHODS,))) == [UnsubAck(10)]
        assert connected.hub.connections.subscriber("one", Subscription.METHODS) is None

    @pytest.mark.parametrize(
        "name", ["#", "$iothub/#", "devices/two/messages/devicebound/#", "devices/+/messages/#"]
    )
    def test_any_other_filter_closes(self, connected: Peer, name: str) -> None:
        with pytest.raises(SessionClosed):
            connected.subscribe(name)


class TestPublishing:
    @pytest.mark.parametrize("suffix", ["", "/", "/a=b&%24.ct=application%2Fjson"])
    def test_telemetry_is_acknowledged_at_qos_1(self, connected: Peer, suffix: str) -> None:
        topic = f"devices/one/messages/events{suffix}"
        assert connected.send(Publish(topic, b"x", 1, 5)) == [PubAck(5)]
        assert connected.send(Publish(topic, b"x")) == []

    @pytest.mark.parametrize(
        "topic", ["x", "devices/two/messages/events/", "$iothub/twin/GET/", "$iothub/methods/res/"]
    )
    def test_any_other_topic_closes(self, connected: Peer, topic: str) -> None:
        with pytest.raises(SessionClosed):
            connected.send(Publish(topic, b""))

    def test_a_message_may_have_256_kilobytes(self, connected: Peer) -> None:
        topic = "devices/one/messages/events/"
        connected.send(Publish(topic, bytes(256 * 1024)))
        with pytest.raises(SessionClosed):
            connected.send(Publish(topic, bytes(256 * 1024 + 1)))

    def test_a_ping_gets_a_response(self, connected: Peer) -> None:
        assert connected.send(PingReq()) == [PingResp()]

    @pytest.mark.parametrize("packet", [Disconnect(), ConnAck(0), PingResp(), UnsubAck(1)])
    def test_disconnect_and_a_servers_packets_close(self, connected: Peer, packet: Packet) -> None:
        with pytest.raises(SessionClosed):
            connected.send(packet)


class TestTwin:
    def test_reading_and_reporting(self, connected: Peer) -> None:
        connected.subscribe(TWIN)
        report = Publish("$iothub/twin/PATCH/properties/reported/?$rid=a%20", b'{"x":1}', 1, 3)
        assert connected.send(report) == [
            PubAck(3),
            Publish("$iothub/twin/res/204/?$rid=a%20&$version=2", b""),
        ]
        [response] = connected.send(Publish("$iothub/twin/GET/?$rid=b", b" "))
        assert isinstance(response, Publish)
        assert response.topic == "$iothub/twin/res/200/?$rid=b"
        expected = {"desired": {"$version": 1}, "reported": {"x": 1, "$version": 2}}
        assert json.loads(response.payload) == expected

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"a.b":1}', b"[" * 100_000])
    def test_an_invalid_report_gets_400_with_a_body(self, connected: Peer, body: bytes) -> None:
        connected.subscribe(TWIN)
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
        [response] = connected.send(Publish(topic, body))
        assert isinstance(response, Publish)
        assert response.topic == "$iothub/twin/res/400/?$rid=1"
        assert json.loads(response.payload).keys() == {"errorCode", "message"}

    def test_a_request_id_that_no_response_could_repeat_closes(self, connected: Peer) -> None:
        connected.subscribe(TWIN)
        longest = "$iothub/twin/GET/?$rid=" + "r" * 65000
        with pytest.raises(SessionClosed):
            connected.send(Publish(longest, b""))

    def test_without_a_subscription_no_response_is_sent(self, connected: Peer) -> None:
        assert connected.send(Publish("$iothub/twin/GET/?$rid=1", b"")) == []

    def test_desired_changes_carry_their_version_twice(self, connected: Peer) -> None:
        connected.subscribe(DESIRED)
        body = read_twin_write({"properties": {"desired": {"a": None, "b": 1}}})
        connected.hub.twins.patch("one", body, None)
        [notice] = connected.wire.taken()
        assert isinstance(notice, Publish)
        assert notice.topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
        assert json.loads(notice.payload) == {"a": None, "b": 1, "$version": 2}


class TestMethods:
    def invoke(self, peer: Peer, name: str = "x") -> list[MethodResponse | HubError]:
        ended: list[MethodResponse | HubError] = []
        peer.hub.methods.invoke("one", MethodRequest(name=name), ended.append)
        return ended

    def test_a_call_without_payload_is_sent_as_null_at_qos_0(self, connected: Peer) -> None:
        connected.subscribe(METHODS)
        self.invoke(connected, "a%b")
        [call] = connected.wire.taken()
        assert isinstance(call, Publish)
        assert call.topic.startswith("$iothub/methods/POST/a%25b/?$rid=")
        assert (call.payload, call.qos) == (b"null", 0)

    @pytest.mark.parametrize(("body", "payload"), [(b'{"a":1}', {"a": 1}), (b"", None)])
    def test_the_response_reaches_the_caller(
        self, connected: Peer, body: bytes, payload: object
    ) -> None:
        connected.subscribe(METHODS)
        ended = self.invoke(connected)
        [call] = connected.wire.taken()
        assert isinstance(call, Publish)
        rid = call.topic.partition("?")[2]
        connected.send(Publish(f"$iothub/methods/res/200/?{rid}", b"not JSON"))
        assert ended == []
        connected.send(Publish(f"$iothub/methods/res/-1/?{rid}", body))
        assert ended == [MethodResponse(-1, payload)]  # type: ignore[arg-type]
