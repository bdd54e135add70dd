"""The setting of asyncio that limits the hub's memory."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol

import pytest

from simulator.hub.read_buffers import READ_BUFFER_BYTES, save_memory


def test_a_tls_connection_reads_into_the_smaller_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SSLProtocol, "max_size", SSLProtocol.max_size)  # put back afterwards
    save_memory()

    async def buffer_bytes() -> int:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        context = ssl.create_default_context()
        connection = SSLProtocol(loop, asyncio.Protocol(), context, waiter)
        size = len(connection.get_buffer(-1))
        connection.connection_lost(None)
        return size

    assert asyncio.run(buffer_bytes()) == READ_BUFFER_BYTES
