"""What asyncio sets aside for each TLS connection, cut to what MQTT and small requests need."""

import asyncio.sslproto

READ_BUFFER_BYTES = 32 * 1024
"""Two TLS records."""


def save_memory() -> None:
    """Let TLS connections made from now on, in this process, read in smaller pieces.

    asyncio zeroes a buffer of 256 KB for each before it says a word: more than all else that
    the hub or a light device needs for a connection. For programs of our own, as it is a setting
    of the whole process.
    """
    asyncio.sslproto.SSLProtocol.max_size = READ_BUFFER_BYTES
