"""Decoding of packets: MQTT 3.1.1 (OASIS, 29 October 2014), without QoS 2.

Rules of the specification are cited by their number. `decode` reads the bytes that have arrived
and raises NeedMoreBytes, so its caller keeps at most one packet of MAX_PACKET_BYTES and what came
with it.
"""

from collections.abc import Callable, Iterator

from simulator.hub.mqtt import kinds, wire
from simulator.hub.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)
from simulator.hub.mqtt.wire import (
    MalformedPacketError,
    NeedMoreBytes,
    Reader,
    UnsupportedPacketError,
)

MAX_PACKET_BYTES = 256 * 1024 + wire.MAX_UINT16 + 4
"""256 KB of message and room for its topic and packet identifier.

256 KB: Microsoft Learn, "IoT Hub quotas and throttling", "Other limits".
"""

_LEVEL_3_1_1 = 4
_MAX_QOS = 2
_REFUSED = 0x80
_MAX_RETURN_CODE = 5


class Decoder:
    """Collects bytes into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the completed packets. After a MqttError the decoder cannot be used."""
        self._buffer += data
        position = 0
        try:
            while True:
                packet, position = decode(self._buffer, position)
                yield packet
        except NeedMoreBytes:
            del self._buffer[:position]


def decode(data: bytes | bytearray, start: int = 0) -> tuple[Packet, int]:
    """Return the packet that begins at `start`, and the position after it.

    Raises NeedMoreBytes if it is not complete, MqttError if it is malformed or too large. A packet
    that is too large is found by its length, before its contents arrive.
    """
    if start >= len(data):
        raise NeedMoreBytes
    kind, flags = data[start] >> 4, data[start] & 0x0F
    _check_fixed_header(kind, flags)
    length, begin = wire.read_remaining_length(data, start + 1)
    if length > MAX_PACKET_BYTES:
        raise UnsupportedPacketError(f"a packet of {length} bytes; the limit is 256 KB")
    end = begin + length
    if end > len(data):
        raise NeedMoreBytes
    reader = Reader(data, begin, end)
    packet = _publish(flags, reader) if kind == kinds.PUBLISH else _DECODERS[kind](reader)
    reader.finish()
    return packet, end


def _check_fixed_header(kind: int, flags: int) -> None:
    if kind in (kinds.PUBREC, kinds.PUBREL, kinds.PUBCOMP):
        raise UnsupportedPacketError("IoT Hub does not support QoS 2")
    if kind not in _DECODERS and kind != kinds.PUBLISH:
        raise MalformedPacketError(f"section 2.2.1: packet type {kind} is reserved")
    # [MQTT-3.8.1-1], [MQTT-3.10.1-1]: these two packets need the flags 0010.
    expected = 2 if kind in (kinds.SUBSCRIBE, kinds.UNSUBSCRIBE) else 0
    if kind != kinds.PUBLISH and flags != expected:
        raise MalformedPacketError(f"[MQTT-2.2.2-2] flags {flags:#x} on packet type {kind}")


def _publish(flags: int, reader: Reader) -> Publish:
    duplicate, qos, retain = bool(flags & 8), flags >> 1 & 3, bool(flags & 1)
    if qos > _MAX_QOS:
        raise MalformedPacketError("[MQTT-3.3.1-4] both QoS bits are set")
    if qos == _MAX_QOS:
        raise UnsupportedPacketError("IoT Hub does not support QoS 2")
    if duplicate and qos == 0:
        raise MalformedPacketError("[MQTT-3.3.1-2] DUP is set on QoS 0")
    topic = reader.text()
    if not topic:
        raise MalformedPacketError("[MQTT-4.7.3-1] the topic name is empty")
    if "#" in topic or "+" in topic:
        raise MalformedPacketError("[MQTT-3.3.2-2] a topic name contains a wildcard")
    packet_id = reader.packet_id() if qos else 0
    return Publish(topic, reader.rest(), qos, packet_id, retain, duplicate)


def _connect(reader: Reader) -> Connect:
    if reader.text() != "MQTT":
        raise MalformedPacketError("[MQTT-3.1.2-1] the protocol name is not MQTT")
    level = reader.uint8()
    if level != _LEVEL_3_1_1:
        reader.rest()
        return Connect(client_id="", level=level)
    flags = reader.uint8()
    _check_connect_flags(flags)
    keep_alive = reader.uint16()
    client_id = reader.text()
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 2),
        keep_alive=keep_alive,
        will=_will(flags, reader),
        user_name=reader.text() if flags & 0x80 else None,
        password=reader.binary() if flags & 0x40 else None,
    )


def _check_connect_flags(flags: int) -> None:
    if flags & 1:
        raise MalformedPacketError("[MQTT-3.1.2-3] the reserved connect flag is set")
    will_qos = flags >> 3 & 3
    if will_qos > _MAX_QOS:
        raise MalformedPacketError("[MQTT-3.1.2-14] the will's QoS is 3")
    if not flags & 4 and flags & 0x38:
        raise MalformedPacketError("[MQTT-3.1.2-13], [MQTT-3.1.2-15] will bits without a will")
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacketError("[MQTT-3.1.2-22] a password without a user name")


def _will(flags: int, reader: Reader) -> Will | None:
    if not flags & 4:
        return None
    topic, payload = reader.text(), reader.binary()
    return Will(topic=topic, payload=payload, qos=flags >> 3 & 3, retain=bool(flags & 0x20))


def _connack(reader: Reader) -> ConnAck:
    acknowledge, code = reader.uint8(), reader.uint8()
    if acknowledge > 1 or code > _MAX_RETURN_CODE:
        raise MalformedPacketError("section 3.2.2: reserved bits or return code")
    if acknowledge and code:
        raise MalformedPacketError("[MQTT-3.2.2-4] session present on a refusal")
    return ConnAck(code, bool(acknowledge))


def _subscribe(reader: Reader) -> Subscribe:
    packet_id = reader.packet_id()
    filters = []
    while not reader.at_end:
        name, qos = _filter(reader), reader.uint8()
        if qos > _MAX_QOS:
            raise MalformedPacketError("[MQTT-3-8.3-4] a requested QoS above 2")
        filters.append((name, qos))
    if not filters:
        raise MalformedPacketError("[MQTT-3.8.3-3] SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(filters))


def _unsubscribe(reader: Reader) -> Unsubscribe:
    packet_id = reader.packet_id()
    names = []
    while not reader.at_end:
        names.append(_filter(reader))
    if not names:
        raise MalformedPacketError("[MQTT-3.10.3-2] UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id, tuple(names))


def _filter(reader: Reader) -> str:
    name = reader.text()
    if not name:
        raise MalformedPacketError("[MQTT-4.7.3-1] a topic filter is empty")
    return name


def _suback(reader: Reader) -> SubAck:
    packet_id, codes = reader.packet_id(), tuple(reader.rest())
    if not codes or any(code > _MAX_QOS and code != _REFUSED for code in codes):
        raise MalformedPacketError("[MQTT-3.9.3-2] a reserved SUBACK return code, or none")
    return SubAck(packet_id, codes)


_DECODERS: dict[int, Callable[[Reader], Packet]] = {
    kinds.CONNECT: _connect,
    kinds.CONNACK: _connack,
    kinds.PUBACK: lambda reader: PubAck(reader.packet_id()),
    kinds.SUBSCRIBE: _subscribe,
    kinds.SUBACK: _suback,
    kinds.UNSUBSCRIBE: _unsubscribe,
    kinds.UNSUBACK: lambda reader: UnsubAck(reader.packet_id()),
    kinds.PINGREQ: lambda _reader: PingReq(),
    kinds.PINGRESP: lambda _reader: PingResp(),
    kinds.DISCONNECT: lambda _reader: Disconnect(),
}
