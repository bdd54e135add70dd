"""One device's MQTT session: packets in, packets and decisions out. No sockets, no timers.

Source: MQTT 3.1.1, and Microsoft Learn, "Communicate with your IoT hub using the MQTT protocol".
The hub answers what it does not take by closing the connection, not with an error packet.
"""

from typing import Protocol, assert_never

from simulator.hub.model.connections import Subscription
from simulator.hub.model.device import Device, Status
from simulator.hub.model.errors import HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, from_json, to_json
from simulator.hub.model.methods import MethodAnswer
from simulator.hub.mqtt import topics
from simulator.hub.mqtt.codec import encode
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
from simulator.hub.mqtt.topics import MethodResult, Telemetry, TwinGet, TwinReport

ACCEPTED, BAD_LEVEL, BAD_CLIENT_ID, BAD_CREDENTIALS, NOT_AUTHORIZED = 0, 1, 2, 4, 5
"""CONNACK return codes (section 3.2.2.3)."""

MAX_SILENCE_SECONDS = 1767
"""The longest the hub waits for a sign of life: 29.45 minutes."""
MAX_MESSAGE_BYTES = 256 * 1024


class Outlet(Protocol):
    """Where a session's bytes go. `close` ends the connection once they are sent."""

    def write(self, data: bytes, /) -> None: ...

    def close(self, reason: str, /) -> None: ...


class SessionClosed(Exception):  # noqa: N818  the end of a session need not be an error
    """The connection must be closed; the text says why."""


class Session:
    """`device_id` is empty until a CONNECT is accepted."""

    def __init__(self, hub: Hub, outlet: Outlet):
        self._hub = hub
        self._outlet = outlet
        self.device_id = ""
        self.max_silence_seconds: float = MAX_SILENCE_SECONDS
        self.expires_at: int | None = None

    def receive(self, packet: Packet) -> None:
        """Act on a packet. Raises SessionClosed when the connection must end."""
        if isinstance(packet, Connect):
            self._connect(packet)
            return
        if not self.device_id:
            raise SessionClosed("[MQTT-3.1.0-1] the first packet is not CONNECT")
        match packet:
            case Publish():
                self._publish(packet)
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe():
                self._unsubscribe(packet)
            case PingReq():
                self._send(PingResp())
            case PubAck():
                pass  # everything goes out at QoS 0 as yet
            case Disconnect():
                raise SessionClosed("the device disconnected")
            case _:
                raise SessionClosed("a packet that only a server may send")

    def lost(self) -> None:
        """The connection is gone, for whatever reason."""
        if self.device_id:
            self._hub.connections.detach(self.device_id, self)

    def send_method(self, request_id: str, name: str, payload: bytes) -> None:
        """At QoS 0: a direct method is delivered at most once."""
        self._send(Publish(topics.method_topic(name, request_id), payload))

    def send_desired(self, patch: Document, version: int) -> None:
        """With `$version` in the topic and in the body, where the SDKs look for it."""
        body = to_json({**patch, "$version": version})
        self._send(Publish(topics.desired_topic(version), body))

    def close(self, reason: str) -> None:
        self._outlet.close(reason)

    def _connect(self, packet: Connect) -> None:
        if self.device_id:
            raise SessionClosed("[MQTT-3.1.0-2] a second CONNECT")
        code = self._admit(packet)
        if code != ACCEPTED:
            self._send(ConnAck(code))
            raise SessionClosed(f"CONNECT refused with return code {code}")
        self.device_id = packet.client_id
        if packet.keep_alive:
            # [MQTT-3.1.2-24]: one and a half times the keep-alive.
            self.max_silence_seconds = min(packet.keep_alive * 1.5, MAX_SILENCE_SECONDS)
        # CONNACK must be the first packet sent ([MQTT-3.2.0-1]), and attaching may send a method.
        present = not packet.clean_session and self._hub.connections.remembers(self.device_id)
        self._send(ConnAck(ACCEPTED, present))
        self._hub.connections.attach(self.device_id, self, clean_session=packet.clean_session)

    def _admit(self, packet: Connect) -> int:
        """The return code. Which of 4 and 5 the hub gives for what is unverified."""
        if packet.level != 4:  # noqa: PLR2004  section 3.1.2.2
            return BAD_LEVEL
        if not packet.client_id:
            return BAD_CLIENT_ID
        if not self._is_user_name(packet.user_name, packet.client_id):
            return BAD_CREDENTIALS
        try:
            device = self._hub.registry.get(packet.client_id)
            self._check_device(device, packet.password)
        except HubError:
            return NOT_AUTHORIZED
        return ACCEPTED if device.status is Status.ENABLED else NOT_AUTHORIZED

    def _check_device(self, device: Device, password: bytes | None) -> None:
        token = (password or b"").decode("utf-8", "replace")
        now = self._hub.clock.now()
        self.expires_at = self._hub.access.check_device(token, device, now)

    def _is_user_name(self, user_name: str | None, client_id: str) -> bool:
        """`{host name}/{client id}/?api-version=...`"""
        host, _, rest = (user_name or "").partition("/")
        return self._hub.access.is_this_hub(host) and (
            rest == client_id or rest.startswith(f"{client_id}/")
        )

    def _publish(self, packet: Publish) -> None:
        if len(packet.payload) > MAX_MESSAGE_BYTES:
            raise SessionClosed("a message larger than 256 KB")
        topic = topics.read_topic(packet.topic, self.device_id)
        if topic is None:
            raise SessionClosed("published to a topic that IoT Hub does not have")
        if packet.qos:
            self._send(PubAck(packet.packet_id))
        match topic:
            case MethodResult(status, request_id):
                self._method_result(status, request_id, packet.payload)
            case TwinReport(request_id):
                self._twin_report(request_id, packet.payload)
            case TwinGet(request_id):
                body = to_json(self._hub.twins.device_view(self.device_id))
                self._twin_response(topics.twin_response_topic(200, request_id), body)
            case Telemetry():
                self._hub.accept_telemetry(self.device_id)
            case _:
                assert_never(topic)

    def _method_result(self, status: int, request_id: str, payload: bytes) -> None:
        """An answer that is not JSON is dropped, so that the call times out (unverified)."""
        try:
            answer = MethodAnswer(status, from_json(payload) if payload else None)
        except HubError:
            return
        self._hub.methods.answer(self.device_id, request_id, answer)

    def _twin_report(self, request_id: str, payload: bytes) -> None:
        try:
            version = self._hub.twins.report(self.device_id, from_json(payload))
        except HubError as error:
            topic = topics.twin_response_topic(error.code.http_status, request_id)
            body: Document = {"errorCode": error.code.value, "message": error.message}
            self._twin_response(topic, to_json(body))
            return
        self._twin_response(topics.twin_response_topic(204, request_id, version), b"")

    def _twin_response(self, topic: str, body: bytes) -> None:
        """Only a subscriber is sent responses (unverified for IoT Hub)."""
        connections = self._hub.connections
        if connections.subscriber(self.device_id, Subscription.TWIN_RESPONSES) is self:
            self._send(Publish(topic, body))

    def _subscribe(self, packet: Subscribe) -> None:
        wanted = [self._subscription(name) for name, _qos in packet.filters]
        # "IoT Hub doesn't support QoS 2": a subscription that asks for it is granted 1.
        self._send(SubAck(packet.packet_id, tuple(min(qos, 1) for _name, qos in packet.filters)))
        for subscription in wanted:
            self._hub.connections.subscribe(self.device_id, subscription)

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        for name in packet.filters:
            self._hub.connections.unsubscribe(self.device_id, self._subscription(name))
        self._send(UnsubAck(packet.packet_id))

    def _subscription(self, topic_filter: str) -> Subscription:
        subscription = topics.read_filter(topic_filter, self.device_id)
        if subscription is None:
            raise SessionClosed("subscribed to a topic that IoT Hub does not have")
        return subscription

    def _send(self, packet: Packet) -> None:
        self._outlet.write(encode(packet))
