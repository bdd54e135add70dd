"""The bytes that a connection in a black hole keeps, in both directions, up to a limit."""

MAX_BYTES = 1 << 16


class BlackHoleBuffer:
    """Bytes that were read, and bytes to write.

    No byte of a stream can be left out, so a connection is lost when too much is written.
    """

    def __init__(self) -> None:
        self.read = bytearray()
        self.written = bytearray()
        self.is_lost = False
        """The connection cannot be resumed."""

    def keep_read(self, data: bytes) -> bool:
        """Keep bytes that were read. Return whether reading should stop."""
        self.read += data
        return len(self.read) >= MAX_BYTES

    def keep_written(self, data: bytes) -> None:
        if len(self.written) + len(data) > MAX_BYTES:
            self.is_lost = True
        if not self.is_lost:
            self.written += data
