"""A session on a TLS connection: bytes, timers and back-pressure.

An asyncio protocol rather than a pair of streams: a fleet of thousands of mostly silent devices
then costs no task and no stream buffer each.
"""

import asyncio
import logging
from typing import cast

from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.codec import Decoder
from simulator.hub.mqtt.session import Session, SessionClosed
from simulator.hub.mqtt.wire import MqttError

CONNECT_TIMEOUT_SECONDS = 15
"""How long a client may take from the end of the TLS handshake to its CONNECT."""
MAX_UNSENT_BYTES = 1 << 20
"""What may wait for a device that does not read before its connection is dropped."""
_CLOSE_SECONDS = 5

_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """`open_connections` holds every connection that is open, so that the server can end them."""

    def __init__(self, hub: Hub, open_connections: "set[Connection]"):
        self._hub = hub
        self._open = open_connections
        self._loop = asyncio.get_running_loop()
        self._session = Session(hub, self)
        self._decoder = Decoder()
        self._last_heard = 0.0
        self._closing = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        self._after("connect", CONNECT_TIMEOUT_SECONDS, "no CONNECT in time")

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._last_heard = self._loop.time()
        connected = bool(self._session.device_id)
        try:
            for packet in self._decoder.feed(data):
                self._session.receive(packet)
                if self._closing:
                    return
        except (MqttError, SessionClosed) as error:
            self.close(str(error))
            return
        if self._session.device_id and not connected:
            self._connected()

    def pause_writing(self) -> None:
        """The device does not read: take nothing more from it until it does."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        self._closing = True
        self._open.discard(self)
        for timer in self._timers.values():
            timer.cancel()
        self._session.lost()

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            _log.info("device %s does not read; dropped", self._session.device_id)
            self._transport.abort()

    def close(self, reason: str) -> None:
        """Send what is waiting, then end; a peer that does not take it is cut off."""
        if self._closing:
            return
        _log.debug("closing connection of %r: %s", self._session.device_id, reason)
        self._closing = True
        # The device is gone for the hub from now on, not when the peer has said goodbye.
        self._session.lost()
        self._transport.close()
        self._timers["abort"] = self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)

    def _connected(self) -> None:
        self._timers.pop("connect").cancel()
        self._watch_silence()
        if self._session.expires_at is not None:
            life = self._session.expires_at - self._hub.clock.now()
            self._after("expiry", max(life, 0), "the SAS token has expired")

    def _watch_silence(self) -> None:
        """One timer per connection, moved on when it fires rather than at every packet."""
        allowed = self._session.max_silence_seconds
        due = self._last_heard + allowed
        if self._loop.time() >= due:
            self.close("[MQTT-3.1.2-24] silent for longer than the keep-alive allows")
        else:
            self._timers["silence"] = self._loop.call_at(due, self._watch_silence)

    def _after(self, name: str, seconds: float, reason: str) -> None:
        self._timers[name] = self._loop.call_later(seconds, self.close, reason)
