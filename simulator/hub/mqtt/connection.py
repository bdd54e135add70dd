"""A TLS connection of a device: bytes, timers and back-pressure.

It is an asyncio protocol and not a pair of streams, so that thousands of mostly silent devices
need neither a task nor a stream buffer each.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from simulator.hub.model.access import ClientCertificate
from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.black_hole import BlackHoleBuffer
from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.session import Session, SessionClosed
from simulator.hub.mqtt.wire import MqttError

CONNECT_TIMEOUT_SECONDS = 15
"""Time from the end of the TLS handshake to the client's CONNECT."""
MAX_UNSENT_BYTES = 1 << 20
"""Bytes that wait for a device that does not read, before its connection is aborted."""
_CLOSE_SECONDS = 5

_log = logging.getLogger(__name__)

type ReadCertificate = Callable[[asyncio.BaseTransport], ClientCertificate | None]
"""Returns the client's certificate of the TLS handshake, or None."""


class Connection(asyncio.Protocol):
    """The protocol of one device.

    `open_connections` contains every open connection, so that the server can close them. One more
    than `max_connections` is aborted at once.
    """

    def __init__(
        self,
        hub: Hub,
        open_connections: "set[Connection]",
        max_connections: int,
        read_certificate: ReadCertificate,
    ) -> None:
        self._hub = hub
        self._open = open_connections
        self._max_connections = max_connections
        self._read_certificate = read_certificate
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._last_heard = 0.0
        self._closing = False
        self._black_hole: BlackHoleBuffer | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._session = Session(self._hub, self, self._read_certificate(transport))
        self._open.add(self)
        self._after("connect", CONNECT_TIMEOUT_SECONDS, "no CONNECT within 15 s")
        if len(self._open) > self._max_connections:
            self._closing = True
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._black_hole is not None:
            if self._black_hole.keep_read(data):
                self._transport.pause_reading()
            return
        self._last_heard = self._loop.time()
        try:
            for packet in self._decoder.feed(data):
                self._session.receive(packet)
                if self._closing:
                    return
        except (MqttError, SessionClosed) as error:
            self.close(str(error))

    def pause_writing(self) -> None:
        """Stop reading, because the device does not read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self._closing = True
        self._open.discard(self)
        for timer in self._timers.values():
            timer.cancel()
        self._session.release()

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        if self._black_hole is not None:
            self._black_hole.keep_written(data)
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            _log.info("connection of %s aborted: it does not read", self._session.device_id)
            self._transport.abort()

    def close(self, reason: str) -> None:
        """Send the waiting bytes, then close; abort if the peer does not read them."""
        if self._closing:
            return
        _log.debug("closing connection of %r: %s", self._session.device_id, reason)
        self._closing = True
        # The device is disconnected from now on, not only when the peer closes the socket.
        self._session.detach()
        self._transport.close()
        self._timers["abort"] = self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)

    def suspend(self, *, suspended: bool) -> None:
        """Enter or leave a black hole: bytes of both directions are kept, no timer reports it."""
        if suspended:
            if self._black_hole is None:
                self._black_hole = BlackHoleBuffer()
                self._cancel("connect")
            return
        buffer, self._black_hole = self._black_hole, None
        if buffer is None or self._closing:
            return
        if buffer.is_lost:
            self.close("the connection was lost in a black hole")
            return
        self._transport.resume_reading()
        self.write(bytes(buffer.written))
        self.data_received(bytes(buffer.read))

    def on_accepted(self) -> None:
        self._cancel("connect")
        self._watch_silence()
        if self._session.expires_at is not None:
            life = self._session.expires_at - self._hub.clock.now()
            self._after("expiry", max(life, 0), "the SAS token has expired")

    def _watch_silence(self) -> None:
        """Close a silent connection. The timer is moved when it fires, not at every packet."""
        allowed = self._session.max_silence_seconds
        due = self._last_heard + allowed
        if self._loop.time() >= due and self._black_hole is not None:
            self._black_hole.is_lost = True
            self._session.detach()
        elif self._loop.time() >= due:
            self.close("[MQTT-3.1.2-24] silent for longer than the keep-alive allows")
        else:
            self._timers["silence"] = self._loop.call_at(due, self._watch_silence)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _after(self, name: str, seconds: float, reason: str) -> None:
        self._timers[name] = self._loop.call_later(seconds, self.close, reason)
