"""Drop idle connections without telling the client, as a NAT or firewall on the way does.

The socket stays open, and what arrives on it later is lost: the client waits for no response.
Microsoft Learn, "Troubleshoot outbound SNAT exhaustion", names 4 minutes for Azure's own NAT.
"""

import asyncio
import time
from collections.abc import Callable

# Longer than a program runs: a connection that is to be dropped must not be closed before.
NEVER_CLOSED_SECONDS = 30 * 24 * 3600


class DroppingProtocol(asyncio.Protocol):
    """Pass all to another protocol until nothing has arrived for `seconds`; then nothing more."""

    def __init__(self, protocol: asyncio.Protocol, seconds: float) -> None:
        self._protocol = protocol
        self._seconds = seconds
        self._last_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if now - self._last_at > self._seconds:
            return  # and so is all that follows, because the time is not renewed
        self._last_at = now
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


def dropping(
    make: Callable[[], asyncio.Protocol], seconds: float | None
) -> Callable[[], asyncio.Protocol]:
    """Return a factory of protocols that are dropped after `seconds`; None: never."""
    if seconds is None:
        return make
    return lambda: DroppingProtocol(make(), seconds)
