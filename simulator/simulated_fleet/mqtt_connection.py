"""One device's TLS connection: bytes to packets, and nothing that waits."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.encoding import encode
from simulator.hub.mqtt.packets import ConnAck, Connect, Disconnect, Packet
from simulator.hub.mqtt.wire import MqttError
from simulator.simulated_fleet.mqtt_session import ConnectionFailedError, MqttSession


class Owner(Protocol):
    """Who hears of a link's life."""

    def made(self, link: "MqttConnection", /) -> None: ...

    def opened(self, link: "MqttConnection", /) -> None: ...

    def heard(self, link: "MqttConnection", /) -> None: ...

    def ended(self, link: "MqttConnection", reason: str | None, /) -> None:
        """`reason` is None for a link that has left."""


class MqttConnection(asyncio.Protocol):
    """`is_open` from an accepted CONNECT to the end. `ended` is told once for each `made`."""

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
        """Say CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.made(self)
        self.send([self._connect])

    def data_received(self, data: bytes) -> None:
        """Answer what has arrived, in one write."""
        try:
            said: list[Packet] = []
            for packet in self._decoder.feed(data):
                said += self._receive(packet)
            self.send(said)
        except (MqttError, ConnectionFailedError) as error:
            self.abort(str(error))
        else:
            self._owner.heard(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever wanted it."""
        self.is_open, self._transport = False, None
        lost = error is not None and self._reason is not None
        self._owner.ended(self, str(error) if lost else self._reason)

    def tick(self) -> None:
        """Say what is due by now."""
        try:
            self.send(self.session.tick(self._now()))
        except ConnectionFailedError as error:
            self.abort(str(error))

    def send(self, packets: Sequence[Packet]) -> None:
        """All in one write."""
        if packets and self._transport is not None:
            self._transport.write(b"".join(map(encode, packets)))

    def leave(self) -> None:
        """Say goodbye and close."""
        self.is_open, self._reason = False, None
        self.send([Disconnect()])
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close without a word."""
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
        self._owner.opened(self)
        return self.session.opened(self._now())
