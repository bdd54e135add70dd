"""Encoding of packets: MQTT 3.1.1 (OASIS, 29 October 2014), without QoS 2."""

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
)


def encode(packet: Packet) -> bytes:  # noqa: PLR0911  a case each
    """Encode a packet. Raises ValueError if a field is too long for the encoding."""
    match packet:
        case Publish():
            return _encode_publish(packet)
        case Connect():
            return _frame(kinds.CONNECT, 0, _connect_body(packet))
        case ConnAck(code, session_present):
            return _frame(kinds.CONNACK, 0, bytes((session_present, code)))
        case PubAck(packet_id):
            return _frame(kinds.PUBACK, 0, packet_id.to_bytes(2))
        case Subscribe(packet_id, filters):
            body = b"".join(wire.text(name) + bytes((qos,)) for name, qos in filters)
            return _frame(kinds.SUBSCRIBE, 2, packet_id.to_bytes(2) + body)
        case SubAck(packet_id, codes):
            return _frame(kinds.SUBACK, 0, packet_id.to_bytes(2) + bytes(codes))
        case Unsubscribe(packet_id, names):
            body = b"".join(map(wire.text, names))
            return _frame(kinds.UNSUBSCRIBE, 2, packet_id.to_bytes(2) + body)
        case UnsubAck(packet_id):
            return _frame(kinds.UNSUBACK, 0, packet_id.to_bytes(2))
        case PingReq() | PingResp() | Disconnect():
            return _BARE[type(packet)]


_BARE: dict[type[Packet], bytes] = {
    PingReq: bytes((kinds.PINGREQ << 4, 0)),
    PingResp: bytes((kinds.PINGRESP << 4, 0)),
    Disconnect: bytes((kinds.DISCONNECT << 4, 0)),
}


def _frame(kind: int, flags: int, body: bytes) -> bytes:
    return bytes((kind << 4 | flags,)) + wire.remaining_length(len(body)) + body


def _encode_publish(packet: Publish) -> bytes:
    flags = packet.duplicate << 3 | packet.qos << 1 | packet.retain
    packet_id = packet.packet_id.to_bytes(2) if packet.qos else b""
    return _frame(kinds.PUBLISH, flags, wire.text(packet.topic) + packet_id + packet.payload)


def _connect_body(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    fields = [wire.text(packet.client_id)]
    if packet.will is not None:
        flags |= 4 | packet.will.qos << 3 | packet.will.retain << 5
        fields += [wire.text(packet.will.topic), wire.binary(packet.will.payload)]
    if packet.user_name is not None:
        flags |= 0x80
        fields.append(wire.text(packet.user_name))
    if packet.password is not None:
        flags |= 0x40
        fields.append(wire.binary(packet.password))
    head = wire.text("MQTT") + bytes((packet.level, flags)) + packet.keep_alive.to_bytes(2)
    return head + b"".join(fields)
