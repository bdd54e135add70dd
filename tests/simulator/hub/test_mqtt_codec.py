"""Encoding and decoding of MQTT packets: round trips, and any input."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.mqtt.decoding import MAX_PACKET_BYTES, Decoder, decode
from simulator.hub.mqtt.encoding import encode
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
    MqttError,
    NeedMoreBytes,
    UnsupportedPacketError,
    read_remaining_length,
    remaining_length,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
NAMES = TEXT.filter(bool)
TOPICS = st.text("abc/$ ü?=", min_size=1, max_size=30)
IDS = st.integers(1, 0xFFFF)
BYTES = st.binary(max_size=60)
WILLS = st.builds(Will, topic=TOPICS, payload=BYTES, qos=st.integers(0, 2), retain=st.booleans())


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    user_name = draw(st.none() | TEXT)
    return Connect(
        client_id=draw(TEXT),
        clean_session=draw(st.booleans()),
        keep_alive=draw(st.integers(0, 0xFFFF)),
        user_name=user_name,
        password=draw(st.none() | BYTES) if user_name is not None else None,
        will=draw(st.none() | WILLS),
    )


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    qos = draw(st.integers(0, 1))
    return Publish(
        draw(TOPICS),
        draw(BYTES),
        qos,
        draw(IDS) if qos else 0,
        draw(st.booleans()),
        draw(st.booleans()) if qos else False,
    )


PACKETS: st.SearchStrategy[Packet] = st.one_of(
    connects(),
    publishes(),
    st.builds(ConnAck, st.just(0), st.booleans()),
    st.builds(ConnAck, st.integers(1, 5)),
    st.builds(PubAck, IDS),
    st.builds(
        Subscribe,
        IDS,
        st.lists(st.tuples(NAMES, st.integers(0, 2)), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        SubAck, IDS, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4).map(tuple)
    ),
    st.builds(Unsubscribe, IDS, st.lists(NAMES, min_size=1, max_size=4).map(tuple)),
    st.builds(UnsubAck, IDS),
    st.sampled_from([PingReq(), PingResp(), Disconnect()]),
)


@given(PACKETS)
def test_every_packet_survives_the_round_trip_and_no_shorter_prefix_is_enough(
    packet: Packet,
) -> None:
    data = encode(packet)
    assert decode(data) == (packet, len(data))
    for length in range(len(data)):
        with pytest.raises(NeedMoreBytes):
            decode(data[:length])


@given(st.lists(PACKETS, max_size=5), st.integers(1, 50))
def test_packets_come_out_however_their_bytes_are_cut(packets: list[Packet], size: int) -> None:
    data = b"".join(map(encode, packets))
    decoder = Decoder()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert [packet for chunk in chunks for packet in decoder.feed(chunk)] == packets


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_the_decoders_own_errors(data: bytes) -> None:
    with contextlib.suppress(MqttError):
        list(Decoder().feed(data))


@given(PACKETS, st.integers(0, 500), st.integers(0, 255))
def test_a_damaged_packet_raises_only_the_decoders_own_errors(
    packet: Packet, position: int, byte: int
) -> None:
    data = bytearray(encode(packet))
    data[position % len(data)] = byte
    with contextlib.suppress(MqttError):
        list(Decoder().feed(bytes(data)))


@pytest.mark.parametrize(
    ("length", "encoded"),
    [
        (0, b"\0"),
        (127, b"\x7f"),
        (128, b"\x80\1"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\1"),
        (268_435_455, b"\xff\xff\xff\x7f"),
    ],
)
def test_remaining_lengths_of_the_specifications_table(length: int, encoded: bytes) -> None:
    assert remaining_length(length) == encoded
    assert read_remaining_length(encoded, 0) == (length, len(encoded))


def connect_bytes(flags: int, rest: bytes, name: bytes = b"MQTT", level: int = 4) -> bytes:
    body = len(name).to_bytes(2) + name + bytes((level, flags)) + b"\0\x3c" + rest
    return b"\x10" + remaining_length(len(body)) + body


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\x00\0", "section 2.2.1"),
        (b"\xf0\0", "section 2.2.1"),
        (b"\x30\xff\xff\xff\xff", "section 2.2.3"),
        (b"\xc1\0", "MQTT-2.2.2-2"),
        (b"\x80\5\0\1\0\1a", "MQTT-2.2.2-2"),
        (b"\x36\0", "MQTT-3.3.1-4"),
        (b"\x38\3\0\1a", "MQTT-3.3.1-2"),
        (b"\x30\2\0\0", "MQTT-4.7.3-1"),
        (b"\x30\3\0\1#", "MQTT-3.3.2-2"),
        (b"\x30\3\0\1\xff", "MQTT-1.5.3-1"),
        (b"\x30\5\0\3\xed\xa0\x80", "MQTT-1.5.3-1"),
        (b"\x30\3\0\1\0", "MQTT-1.5.3-2"),
        (b"\x32\5\0\1a\0\0", "MQTT-2.3.1-1"),
        (b"\x30\2\0\5", "a field ends after the packet"),
        (b"\xc0\1x", "longer than its contents"),
        (b"\x82\2\0\1", "MQTT-3.8.3-3"),
        (b"\x82\6\0\1\0\1a\3", "MQTT-3-8.3-4"),
        (b"\x82\5\0\1\0\0\0", "MQTT-4.7.3-1"),
        (b"\xa2\2\0\1", "MQTT-3.10.3-2"),
        (connect_bytes(2, b"\0\1a", b"MQIsdp"), "MQTT-3.1.2-1"),
        (connect_bytes(3, b"\0\1a"), "MQTT-3.1.2-3"),
        (connect_bytes(0x1C, b"\0\1a"), "MQTT-3.1.2-14"),
        (connect_bytes(0x20, b"\0\1a"), "MQTT-3.1.2-15"),
        (connect_bytes(0x42, b"\0\1a\0\1b"), "MQTT-3.1.2-22"),
    ],
)
def test_broken_rules_are_named(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedPacketError, match=rule):
        decode(data)


@pytest.mark.parametrize(
    "data", [b"\x34\7\0\1a\0\1xx", b"\x50\2\0\1", b"\x62\2\0\1", b"\x70\2\0\1"]
)
def test_qos_2_is_not_supported(data: bytes) -> None:
    with pytest.raises(UnsupportedPacketError, match="QoS 2"):
        decode(data)


def test_another_protocol_level_is_not_a_malformed_packet() -> None:
    packet, _end = decode(connect_bytes(2, b"\0\0\1a", level=5))
    assert isinstance(packet, Connect)
    assert packet.level == 5


def test_a_packet_that_is_too_large_is_refused_by_its_header() -> None:
    header = b"\x30" + remaining_length(MAX_PACKET_BYTES + 1)
    with pytest.raises(UnsupportedPacketError):
        decode(header)
    with pytest.raises(NeedMoreBytes):
        decode(b"\x30" + remaining_length(MAX_PACKET_BYTES))
