"""For any bytes, the hub keeps running and its memory is bounded.

HUB_FUZZ_SECONDS is for all of it together: 9 unless set, 3600 for an hour's worth. The seed of a
run is in the message of a failure; HUB_FUZZ_SEED repeats it.
"""

import contextlib
import logging
import os
import random
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator

import psutil
import pytest
import requests

from simulator.hub import HubOptions, LocalHub
from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.decoding import MAX_PACKET_BYTES, Decoder
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
    Subscribe,
    Unsubscribe,
)
from simulator.hub.mqtt.session import Session, SessionClosed
from simulator.hub.mqtt.wire import MqttError
from tests.simulator.hub.builders import make_device, make_hub, token
from tests.simulator.hub.test_mqtt_connection import Line, connect_packet
from tests.simulator.hub.test_mqtt_session import DESIRED, METHODS, TWIN, Wire
from tests.waiting import eventually

SECONDS = float(os.environ.get("HUB_FUZZ_SECONDS", "9")) / 3
SEED = int(os.environ.get("HUB_FUZZ_SEED", time.time_ns() % 1_000_000))
MEGABYTE = 1 << 20
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.fixture
def chance() -> random.Random:
    print(f"HUB_FUZZ_SEED={SEED}")
    return random.Random(SEED)  # noqa: S311  not for secrets


def rounds() -> Iterator[int]:
    """Count until the time is over."""
    end, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        yield count
        count += 1


def packets(chance: random.Random, connect: Connect) -> Iterator[Packet]:
    """Return a plausible conversation."""
    yield connect
    rid = chance.randrange(100)
    choices: list[Packet] = [
        Subscribe(1, ((METHODS, 1), (TWIN, 1), (DESIRED, 0))),
        Subscribe(2, (("devices/one/messages/devicebound/#", 1),)),
        Unsubscribe(3, (METHODS,)),
        PingReq(),
        PubAck(chance.randrange(1, 70)),
        Publish(f"$iothub/twin/GET/?$rid={rid}", b" "),
        Publish(f"$iothub/twin/PATCH/properties/reported/?$rid={rid}", b'{"a":{"b":[1]}}', 1, 4),
        Publish(f"$iothub/methods/res/200/?$rid={rid}", b"{}", 1, 5),
        Publish("devices/one/messages/events/a=b&%24.ct=x", chance.randbytes(50), 1, 6),
        Disconnect(),
    ]
    for _ in range(chance.randrange(12)):
        yield chance.choice(choices)


def mutated(chance: random.Random, stream: bytes) -> bytes:
    """Change, remove, repeat or insert a few bytes."""
    data = bytearray(stream)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + chance.randrange(8)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(40)]
            case 3:
                data[at:at] = chance.randbytes(chance.randrange(8))
            case _ if at < len(data):
                data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case _:
                pass
    return bytes(data)


def stream_of(chance: random.Random, connect: Connect) -> bytes:
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(200))
    return mutated(chance, b"".join(map(encode, packets(chance, connect))))


def pieces(chance: random.Random, stream: bytes) -> Iterator[bytes]:
    while stream:
        size = chance.randrange(1, 60)
        yield stream[:size]
        stream = stream[size:]


def pure_connect(hub: Hub) -> Connect:
    key = hub.registry.get("one").authentication.primary_key
    return Connect(
        client_id="one",
        clean_session=False,
        keep_alive=60,
        user_name="localhost/one/?api-version=2021-04-12",
        password=token("localhost/devices/one", key).encode(),
    )


def test_the_decoder_decodes_or_refuses_and_needs_at_most_a_packet(
    chance: random.Random,
) -> None:
    connect = Connect(client_id="one", user_name="x", password=b"y")
    for _ in rounds():
        decoder = Decoder()
        stream = stream_of(chance, connect)
        with contextlib.suppress(MqttError):
            for piece in pieces(chance, stream):
                for packet in decoder.feed(piece):
                    assert Decoder().feed(encode(packet)) is not None


def test_a_session_handles_or_closes_and_the_hub_keeps_nothing(chance: random.Random) -> None:
    hub = make_hub()
    make_device(hub)
    connect = pure_connect(hub)

    def converse() -> None:
        wire, decoder = Wire(), Decoder()
        session = Session(hub, wire)
        with contextlib.suppress(MqttError, SessionClosed):
            for piece in pieces(chance, stream_of(chance, connect)):
                for packet in decoder.feed(piece):
                    session.receive(packet)
        session.release()

    for _ in range(200):
        converse()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in rounds():
        converse()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert hub.connections.count == 0
    # The event feed may fill up to its bound, and nothing else may grow.
    assert grown < hub.events.size_bytes * 3 + 4 * MEGABYTE


class TestOverSockets:
    @pytest.fixture
    def options(self, options: HubOptions) -> HubOptions:
        return HubOptions(
            certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
        )

    def test_both_servers_keep_running_and_memory_is_bounded(
        self,
        hub: LocalHub,
        options: HubOptions,
        chance: random.Random,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        # pytest keeps every record with its traceback: that would be the memory measured here.
        caplog.set_level(logging.CRITICAL, "aiohttp.server")
        connect = connect_packet(hub.create_device("one"))
        process = psutil.Process()
        sockets = len(process.net_connections())
        for number in rounds():
            if number == 10:
                before = process.memory_info().rss
            if chance.random() < 0.7:
                self.rubbish(hub.mqtt_port, hub, options, stream_of(chance, connect))
            else:
                self.rubbish(hub.https_port, hub, options, http_rubbish(chance))
        eventually(lambda: len(process.net_connections()) <= sockets)
        line = Line(hub, options.address, ssl.TLSVersion.TLSv1_3)
        line.send(connect, PingReq())
        seen: list[Packet] = []
        while len(seen) < 2:
            seen += line.receive()
        assert [type(packet) for packet in seen] == [ConnAck, PingResp]
        line.socket.close()
        response = requests.get(
            f"https://{options.address}:{hub.https_port}/_local/metrics",
            verify=str(hub.ca_file),
            timeout=10,
        )
        assert response.status_code == 200
        assert process.memory_info().rss - before < 64 * MEGABYTE + SECONDS * MEGABYTE

    def test_an_announced_packet_is_not_allocated(self, hub: LocalHub, options: HubOptions) -> None:
        """Send the header of the largest packet on many connections, never its contents."""
        process, lines = psutil.Process(), list[Line]()
        before = process.memory_info().rss
        length = MAX_PACKET_BYTES
        head = bytes([0x10, length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])
        for _ in range(50):
            line = Line(hub, options.address, ssl.TLSVersion.TLSv1_3)
            line.socket.sendall(head)
            lines.append(line)
        assert process.memory_info().rss - before < 32 * MEGABYTE
        for line in lines:
            line.socket.close()

    def rubbish(self, port: int, hub: LocalHub, options: HubOptions, stream: bytes) -> None:
        """Send it, half of the time without waiting for a response."""
        context = ssl.create_default_context(cafile=hub.ca_file)
        with (
            contextlib.suppress(OSError),
            socket.create_connection((options.address, port), timeout=2) as raw,
            context.wrap_socket(raw, server_hostname=options.address) as line,
        ):
            line.sendall(stream)
            if len(stream) % 2:
                line.settimeout(0.01)
                line.recv(1000)


def http_rubbish(chance: random.Random) -> bytes:
    method = chance.choice((b"GET", b"PUT", b"POST", b"PATCH", b"DELETE", b"\xff"))
    path = chance.choice(
        (b"/devices/a", b"/_local/events", b"/_local/faults", b"/twins/%2F", b"/$iothub/websocket")
    )
    headers = chance.choice(
        (
            b"",
            b"Content-Length: 99999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            UPGRADE,
            b"X-%d: y\r\n" * 300,
        )
    )
    request = method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n"
    return mutated(chance, request + chance.randbytes(chance.randrange(100)))
