"""Smaller read buffers of asyncio's TLS connections, enough for MQTT and small requests."""

import asyncio.sslproto

READ_BUFFER_BYTES = 32 * 1024
"""Two TLS records."""


def save_memory() -> None:
    """Reduce the read buffer of every TLS connection that this process makes later.

    asyncio allocates 256 KB for each connection, more than the hub or a simulated device needs
    for all else. The setting is for the whole process, so only the project's programs use it.
    """
    asyncio.sslproto.SSLProtocol.max_size = READ_BUFFER_BYTES
