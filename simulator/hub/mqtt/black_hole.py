"""What a connection in a black hole keeps: bytes of both directions, within bounds."""

MAX_BYTES = 1 << 16


class BlackHoleBuffer:
    """`is_lost`: the hub has given the device up, so nothing kept is of use any more.

    Bytes of the stream cannot be left out, so a connection that was sent too much is lost.
    """

    def __init__(self) -> None:
        self.read = bytearray()
        self.written = bytearray()
        self.is_lost = False

    def keep_read(self, data: bytes) -> bool:
        """True once no more should be read from the socket."""
        self.read += data
        return len(self.read) >= MAX_BYTES

    def keep_written(self, data: bytes) -> None:
        if len(self.written) + len(data) > MAX_BYTES:
            self.is_lost = True
        if not self.is_lost:
            self.written += data
