"""Convert between the bytes of one device's TLS connection and the packets of its session."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.encoding import encode
from simulator.hub.mqtt.packets import ConnAck, Connect, Disconnect, Packet
from simulator.hub.mqtt.wire import MqttError
from simulator.simulated_fleet.mqtt_session import ConnectionFailedError, MqttSession


class Owner(Protocol):
    """The owner of a connection, which the connection notifies."""

    def on_made(self, connection: "MqttConnection", /) -> None: ...

    def on_open(self, connection: "MqttConnection", /) -> None: ...

    def on_packets(self, connection: "MqttConnection", /) -> None: ...

    def on_end(self, connection: "MqttConnection", reason: str | None, /) -> None:
        """Handle the end; without `reason` the device disconnected."""


class MqttConnection(asyncio.Protocol):
    """An MQTT connection, open from the accepted CONNECT to its end.

    Each `on_made` is followed by exactly one `on_end`.
    """

    __slots__ = (
        "_connect",
        "_decoder",
        "_now",
        "_owner",
        "_reason",
        "_transport",
        "device_id",
        "is_open",
        "session",
    )  # fmt: skip

    def __init__(
        self, owner: Owner, session: MqttSession, connect: Connect, now: Callable[[], float]
    ) -> None:
        self._owner = owner
        self.session = session
        self.device_id = connect.client_id
        self.is_open = False
        self._connect = connect
        self._now = now
        self._decoder = Decoder()
        self._reason: str | None = "the hub closed the connection"
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.on_made(self)
        self.send([self._connect])

    def data_received(self, data: bytes) -> None:
        """Respond to all packets that have arrived, in one write."""
        try:
            packets: list[Packet] = []
            for packet in self._decoder.feed(data):
                packets += self._receive(packet)
            self.send(packets)
        except (MqttError, ConnectionFailedError) as error:
            self.abort(str(error))
        else:
            self._owner.on_packets(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Notify the owner of the end, whichever side closed the connection."""
        self.is_open, self._transport = False, None
        lost = error is not None and self._reason is not None
        self._owner.on_end(self, str(error) if lost else self._reason)

    def tick(self) -> None:
        """Send what is due."""
        try:
            self.send(self.session.tick(self._now()))
        except ConnectionFailedError as error:
            self.abort(str(error))

    def send(self, packets: Sequence[Packet]) -> None:
        """Send the packets in one write."""
        if packets and self._transport is not None:
            self._transport.write(b"".join(map(encode, packets)))

    def disconnect(self) -> None:
        """Send DISCONNECT and close."""
        self.is_open, self._reason = False, None
        self.send([Disconnect()])
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once, without DISCONNECT."""
        self.is_open, self._reason = False, reason
        if self._transport is not None:
            self._transport.abort()

    def _receive(self, packet: Packet) -> Sequence[Packet]:
        if not isinstance(packet, ConnAck):
            return self.session.receive(packet, self._now())
        if packet.return_code:
            raise ConnectionFailedError(
                f"the hub refuses the connection with code {packet.return_code}"
            )
        self.is_open = True
        self._owner.on_open(self)
        return self.session.open(self._now())
