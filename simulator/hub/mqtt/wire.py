"""The primitive encodings of MQTT 3.1.1 (sections 1.5 and 2.2.3)."""

MAX_UINT16 = 0xFFFF
MAX_REMAINING_LENGTH = 268_435_455


class MqttError(Exception):
    """Base of the errors in a peer's bytes. NeedMoreBytes is not one.

    MqttError
        MalformedPacketError    breaks a rule of the specification
        UnsupportedPacketError  valid, but not accepted by IoT Hub
    """


class MalformedPacketError(MqttError):
    """A packet that breaks a rule, which the message names."""


class UnsupportedPacketError(MqttError):
    """QoS 2, or a packet larger than the hub accepts."""


class NeedMoreBytes(Exception):  # noqa: N818  a state of the input, not an error
    """The packet is not complete yet."""


class Reader:
    """Reads a packet's variable header and payload, at most up to `end`."""

    __slots__ = ("_data", "end", "position")

    def __init__(self, data: bytes | bytearray, start: int, end: int) -> None:
        self._data = data
        self.position = start
        self.end = end

    def take(self, count: int) -> bytes:
        after = self.position + count
        if after > self.end:
            raise MalformedPacketError("a field ends after the packet")
        taken = bytes(self._data[self.position : after])
        self.position = after
        return taken

    def uint8(self) -> int:
        return self.take(1)[0]

    def uint16(self) -> int:
        return int.from_bytes(self.take(2))

    def binary(self) -> bytes:
        return self.take(self.uint16())

    def text(self) -> str:
        try:
            text = self.binary().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedPacketError("[MQTT-1.5.3-1] a string is not UTF-8") from error
        if "\0" in text:
            raise MalformedPacketError("[MQTT-1.5.3-2] a string contains U+0000")
        return text

    def packet_id(self) -> int:
        value = self.uint16()
        if value == 0:
            raise MalformedPacketError("[MQTT-2.3.1-1] the packet identifier is 0")
        return value

    def rest(self) -> bytes:
        return self.take(self.end - self.position)

    def finish(self) -> None:
        """Raise MalformedPacketError if bytes are left."""
        if self.position != self.end:
            raise MalformedPacketError("the packet is longer than its contents")

    @property
    def at_end(self) -> bool:
        return self.position == self.end


def read_remaining_length(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """Return the remaining length at `start` and the position after it (section 2.2.3).

    Raises NeedMoreBytes, or MalformedPacketError if it has more than four bytes.
    """
    length = 0
    for index in range(4):
        if start + index >= len(data):
            raise NeedMoreBytes
        byte = data[start + index]
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004  the continuation bit
            return length, start + index + 1
    raise MalformedPacketError("section 2.2.3: the remaining length has more than four bytes")


def remaining_length(length: int) -> bytes:
    """Encode a remaining length. Raises ValueError beyond MAX_REMAINING_LENGTH."""
    if length > MAX_REMAINING_LENGTH:
        raise ValueError(f"an MQTT packet cannot contain {length} bytes")
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes(encoded)


def binary(value: bytes) -> bytes:
    """Encode binary data. Raises ValueError beyond 65,535 bytes."""
    if len(value) > MAX_UINT16:
        raise ValueError(f"an MQTT field cannot contain {len(value)} bytes")
    return len(value).to_bytes(2) + value


def text(value: str) -> bytes:
    """Encode a string. Raises ValueError for what UTF-8 or the length limit forbids."""
    if "\0" in value:
        raise ValueError("[MQTT-1.5.3-2] an MQTT string cannot contain U+0000")
    return binary(value.encode("utf-8"))
