"""A device's MQTT session: handles packets, without sockets or timers.

Source: MQTT 3.1.1, and Microsoft Learn, "Communicate with your IoT hub using the MQTT protocol".
The hub closes the connection on a packet that it does not accept; MQTT 3.1.1 has no error packet.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn, Protocol, assert_never

from simulator.hub.model.access import ClientCertificate
from simulator.hub.model.connections import Subscription
from simulator.hub.model.errors import HubError
from simulator.hub.model.faults import Action
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, to_json
from simulator.hub.model.message import Message
from simulator.hub.model.metering import Operation
from simulator.hub.mqtt import topics
from simulator.hub.mqtt.admission import ACCEPTED, SERVER_UNAVAILABLE, admit, authenticate
from simulator.hub.mqtt.device_requests import DeviceRequests
from simulator.hub.mqtt.encoding import encode
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
from simulator.hub.mqtt.waiting import Backlog, DelayedActions, TooManyWaitingError

MAX_SILENCE_SECONDS = 1767
"""The longest time without a packet from the device: 29 min 27 s."""
MAX_MESSAGE_BYTES = 256 * 1024
MAX_SUBSCRIPTIONS = 5
"""Topic filters in a SUBSCRIBE, and so a device's subscriptions."""


class Outlet(Protocol):
    """The connection that sends a session's bytes. `close` closes it after they are sent."""

    def write(self, data: bytes, /) -> None: ...

    def close(self, reason: str, /) -> None: ...

    def on_accepted(self) -> None:
        """Start the timers of the session: its CONNECT was accepted."""

    def suspend(self, *, suspended: bool) -> None:
        """Stop passing bytes in both directions, or pass the kept ones and continue."""


class SessionClosed(Exception):  # noqa: N818  the end of a session need not be an error
    """The connection must be closed, for the reason in the message."""


class Session:
    """The session of one connection. `device_id` is empty until its CONNECT is accepted."""

    def __init__(
        self, hub: Hub, outlet: Outlet, certificate: ClientCertificate | None = None
    ) -> None:
        self._hub = hub
        self._traffic = hub.traffic
        self._outlet = outlet
        self._certificate = certificate
        self._delayed = DelayedActions(hub.clock)
        self._requests = DeviceRequests(hub, self._delayed, self)
        self._connecting: Connect | None = None
        self._backlog: Backlog | None = None
        self.device_id = ""
        self.max_silence_seconds: float = MAX_SILENCE_SECONDS
        self.expires_at: int | None = None

    def receive(self, packet: Packet) -> None:
        """Handle a packet. Raises SessionClosed when the connection must be closed."""
        try:
            if self._backlog is not None:
                self._backlog.add(packet)
            elif isinstance(packet, Connect):
                self._connect(packet)
            elif not self.device_id:
                raise SessionClosed("[MQTT-3.1.0-1] the first packet is not CONNECT")
            else:
                self._act(packet)
        except TooManyWaitingError as error:
            raise SessionClosed(str(error)) from error

    def detach(self) -> None:
        """Detach the device from the hub, whatever the reason."""
        self._delayed.is_ended = True
        if self.device_id:
            self._hub.connections.detach(self.device_id, self)

    def release(self) -> None:
        """Detach, and forget the connection: the socket is closed."""
        self.detach()
        self._hub.connection_faults.forget(self)

    def send_method(self, request_id: str, name: str, payload: bytes) -> None:
        """Send a direct method at QoS 0: it is delivered at most once."""
        self._deliver(Publish(topics.method_topic(name, request_id), payload), Operation.METHOD)
        if self._is_struck(Action.DROP, Operation.METHOD):
            self.close("a fault: dropped after a method was delivered")

    def send_desired(self, patch: Document, version: int) -> None:
        """Send desired properties with `$version` in topic and body, where the SDKs read it."""
        body = to_json({**patch, "$version": version})
        self._traffic.counters.notifications += 1
        self._traffic.meter(len(body))
        self._deliver(Publish(topics.desired_topic(version), body), Operation.TWIN_UPDATE)

    def send_message(self, message: Message, packet_id: int, *, duplicate: bool) -> None:
        topic = topics.devicebound_topic(self.device_id, message)
        qos = 1 if packet_id else 0
        packet = Publish(topic, message.body, qos, packet_id, duplicate=duplicate)
        self._deliver(packet, Operation.CLOUD_TO_DEVICE)

    def send_twin_response(self, topic: str, body: bytes) -> None:
        """Send a twin response, to a subscriber only (unverified for IoT Hub)."""
        connections = self._hub.connections
        if connections.subscriber(self.device_id, Subscription.TWIN_RESPONSES) is self:
            self._send(Publish(topic, body))

    def close(self, reason: str) -> None:
        self._outlet.close(reason)

    def suspend(self, *, suspended: bool) -> None:
        """Enter or leave a black hole. On leaving, a CONNECT that was ignored is handled, late."""
        self._outlet.suspend(suspended=suspended)
        if not suspended and self._connecting is not None:
            self._resume(self._connect)

    def _act(self, packet: Packet) -> None:
        match packet:
            case Publish():
                self._publish(packet)
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe():
                self._unsubscribe(packet)
            case PingReq():
                self._send(PingResp())
            case PubAck(packet_id):
                self._hub.messages.acknowledge(self.device_id, packet_id)
            case Disconnect():
                raise SessionClosed("the device disconnected")
            case _:
                raise SessionClosed("a packet that only a server may send")

    def _connect(self, packet: Connect) -> None:
        if self.device_id:
            raise SessionClosed("[MQTT-3.1.0-2] a second CONNECT")
        if self._traffic.faults.active:
            self._defer(packet)
            if self._hub.connection_faults.suspend_connect(packet.client_id, self):
                return
            self._connecting, self._backlog = None, None
        admission = admit(self._hub, packet, self._certificate)
        if admission.return_code != ACCEPTED:
            self._refuse(admission.return_code)
        self.expires_at = admission.expires_at
        try:
            wait = self._traffic.admit(Operation.CONNECT, packet.client_id)
        except HubError:
            # Which return code a throttled CONNECT gets is unverified.
            self._refuse(SERVER_UNAVAILABLE)
        if wait:
            self._defer(packet)
            self._delayed.run(wait, lambda: self._resume(self._accept_late))
        else:
            self._accept(packet)

    def _defer(self, packet: Connect) -> None:
        """Defer the CONNECT and any packet the client sends after it ([MQTT-3.1.4-5])."""
        self._connecting, self._backlog = packet, Backlog()

    def _resume(self, step: Callable[[Connect], None]) -> None:
        """Continue with a deferred CONNECT, then with the packets that arrived after it."""
        packet, self._connecting = self._connecting, None
        backlog, self._backlog = self._backlog, None
        if packet is None or backlog is None or self._delayed.is_ended:
            return
        try:
            step(packet)
            for waiting in backlog.packets:
                if self._delayed.is_ended:
                    return
                self.receive(waiting)
        except SessionClosed as error:
            self._outlet.close(str(error))

    def _refuse(self, code: int) -> NoReturn:
        self._send(ConnAck(code))
        raise SessionClosed(f"CONNECT refused with return code {code}")

    def _accept_late(self, packet: Connect) -> None:
        """Accept after a wait, unless the device was deleted or disabled or its keys changed."""
        admission = authenticate(self._hub, packet, self._certificate)
        if admission.return_code != ACCEPTED:
            self._refuse(admission.return_code)
        self._accept(packet)

    def _accept(self, packet: Connect) -> None:
        self.device_id = packet.client_id
        if packet.keep_alive:
            # [MQTT-3.1.2-24]: one and a half times the keep-alive.
            self.max_silence_seconds = min(packet.keep_alive * 1.5, MAX_SILENCE_SECONDS)
        # CONNACK must be the first packet sent ([MQTT-3.2.0-1]), and attaching may send a method.
        present = not packet.clean_session and self._hub.connections.remembers(self.device_id)
        self._send(ConnAck(ACCEPTED, present))
        self._outlet.on_accepted()
        self._hub.connections.attach(self.device_id, self, clean_session=packet.clean_session)

    def _publish(self, packet: Publish) -> None:
        if len(packet.payload) > MAX_MESSAGE_BYTES:
            raise SessionClosed("a message larger than 256 KB")
        topic = topics.read_topic(packet.topic, self.device_id)
        if topic is None:
            raise SessionClosed(f"published to the unknown topic {packet.topic[:100]!r}")
        if isinstance(topic, Telemetry):
            self._telemetry(packet, topic)
            return
        self._acknowledge(packet)
        match topic:
            case MethodResult(status, request_id):
                self._requests.method_result(status, request_id, packet.payload)
            case TwinReport(request_id):
                self._requests.twin_report(request_id, packet.payload)
            case TwinGet(request_id):
                self._requests.twin_get(request_id)
            case _:
                assert_never(topic)

    def _telemetry(self, packet: Publish, topic: Telemetry) -> None:
        """Handle telemetry. A refusal has no packet of its own, so the connection is closed."""
        try:
            self._requests.telemetry(
                topic.properties, packet.payload, lambda: self._acknowledge(packet)
            )
        except HubError as error:
            raise SessionClosed(f"telemetry refused: {error.message}") from error

    def _acknowledge(self, packet: Publish) -> None:
        if packet.qos:
            self._send(PubAck(packet.packet_id))

    def _subscribe(self, packet: Subscribe) -> None:
        if len(packet.filters) > MAX_SUBSCRIPTIONS:
            raise SessionClosed(f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        wanted = [(self._subscription(name), qos) for name, qos in packet.filters]
        # "IoT Hub doesn't support QoS 2": a subscription that requests it gets 1.
        self._send(SubAck(packet.packet_id, tuple(min(qos, 1) for _name, qos in packet.filters)))
        for subscription, qos in wanted:
            self._hub.connections.subscribe(self.device_id, subscription)
            if subscription is Subscription.DEVICEBOUND:
                self._hub.messages.on_subscribed(self.device_id, qos)

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        for name in packet.filters:
            self._hub.connections.unsubscribe(self.device_id, self._subscription(name))
        self._send(UnsubAck(packet.packet_id))

    def _subscription(self, topic_filter: str) -> Subscription:
        subscription = topics.read_filter(topic_filter, self.device_id)
        if subscription is None:
            raise SessionClosed(f"subscribed to the unknown topic {topic_filter[:100]!r}")
        return subscription

    def _deliver(self, packet: Publish, operation: Operation) -> None:
        self._send(packet)
        if self._is_struck(Action.DUPLICATE, operation):
            self._send(replace(packet, duplicate=packet.qos > 0))

    def _is_struck(self, action: Action, operation: Operation) -> bool:
        faults = self._traffic.faults
        return faults.active and faults.strike(action, operation, self.device_id) is not None

    def _send(self, packet: Packet) -> None:
        self._outlet.write(encode(packet))
