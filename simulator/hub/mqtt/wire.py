"""The primitive encodings of MQTT 3.1.1 (sections 1.5 and 2.2.3), read within known bounds."""

MAX_UINT16 = 0xFFFF
MAX_REMAINING_LENGTH = 268_435_455


class MqttError(Exception):
    """Base of what can be wrong with bytes from a peer.

        MqttError
            MalformedPacketError    breaks a rule of the specification
            UnsupportedPacketError  within the specification, but not taken by IoT Hub

    That more bytes are needed is no MqttError: see NeedMoreBytes.
    """


class MalformedPacketError(MqttError):
    """The message names the rule."""


class UnsupportedPacketError(MqttError):
    """QoS 2, or a packet larger than the hub takes."""


class NeedMoreBytes(Exception):  # noqa: N818  a state of the input, not an error
    """The packet is not complete yet."""


class Reader:
    """Reads a packet's variable header and payload; never past `end`."""

    __slots__ = ("_data", "end", "position")

    def __init__(self, data: bytes | bytearray, start: int, end: int):
        self._data = data
        self.position = start
        self.end = end

    def take(self, count: int) -> bytes:
        after = self.position + count
        if after > self.end:
            raise MalformedPacketError("a field reaches beyond the packet's end")
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
            raise MalformedPacketError("[MQTT-1.5.3-2] a string holds U+0000")
        return text

    def packet_id(self) -> int:
        value = self.uint16()
        if value == 0:
            raise MalformedPacketError("[MQTT-2.3.1-1] the packet identifier is 0")
        return value

    def rest(self) -> bytes:
        return self.take(self.end - self.position)

    def finish(self) -> None:
        """Raise if anything is left over."""
        if self.position != self.end:
            raise MalformedPacketError("the packet is longer than its contents")

    @property
    def at_end(self) -> bool:
        return self.position == self.end


def read_remaining_length(data: bytes | bytearray, start: int) -> tuple[int, int]:
    """The remaining length at `start` and the position after it (section 2.2.3).

    Raises NeedMoreBytes, or MalformedPacketError after a fourth byte that asks for a fifth.
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
    """Raises ValueError beyond MAX_REMAINING_LENGTH."""
    if length > MAX_REMAINING_LENGTH:
        raise ValueError(f"no MQTT packet can hold {length} bytes")
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes(encoded)


def binary(value: bytes) -> bytes:
    """Raises ValueError beyond 65535 bytes."""
    if len(value) > MAX_UINT16:
        raise ValueError(f"an MQTT field cannot hold {len(value)} bytes")
    return len(value).to_bytes(2) + value


def text(value: str) -> bytes:
    """Raises ValueError (UnicodeEncodeError included) for what UTF-8 or the length forbids."""
    if "\0" in value:
        raise ValueError("[MQTT-1.5.3-2] an MQTT string cannot hold U+0000")
    return binary(value.encode("utf-8"))
