"""The MQTT server over real TLS sockets: timers, limits and invalid bytes."""

import contextlib
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin

from simulator.hub import HubOptions, LocalHub
from simulator.hub.certificates import DeviceCertificate
from simulator.hub.mqtt import connection as connection_module
from simulator.hub.mqtt.decoding import Decoder
from simulator.hub.mqtt.encoding import encode
from simulator.hub.mqtt.packets import ConnAck, Connect, Disconnect, Packet, PingReq, PingResp
from tests.simulator.hub.builders import token
from tests.simulator.hub.conftest import service_client
from tests.waiting import eventually

type Dial = Callable[[], "Line"]


class Listening(Protocol):
    """A hub in this process or in another."""

    @property
    def https_port(self) -> int: ...

    @property
    def mqtt_port(self) -> int: ...

    @property
    def ca_file(self) -> Path: ...


class Line:
    """A TLS connection to the hub's MQTT port, written to in packets or in raw bytes."""

    def __init__(
        self,
        hub: Listening,
        address: str,
        version: ssl.TLSVersion,
        certificate: DeviceCertificate | None = None,
        port: int | None = None,
    ) -> None:
        context = ssl.create_default_context(cafile=hub.ca_file)
        if certificate is not None:
            context.load_cert_chain(certificate.certificate_file, certificate.key_file)
        context.minimum_version = context.maximum_version = version
        raw = socket.create_connection((address, port or hub.mqtt_port), timeout=10)
        with contextlib.ExitStack() as unless_it_works:
            unless_it_works.enter_context(raw)
            self.socket = context.wrap_socket(raw, server_hostname=address)
            unless_it_works.pop_all()
        self._decoder = Decoder()

    def send(self, *packets: Packet) -> None:
        self.socket.sendall(b"".join(map(encode, packets)))

    def receive(self) -> list[Packet]:
        """Return the packets that the next bytes complete."""
        return list(self._decoder.feed(self.socket.recv(65536)))

    def ends(self) -> bool:
        """Wait until the hub has closed; false if it sends something instead."""
        try:
            return self.socket.recv(65536) == b""
        except (ConnectionError, ssl.SSLError):
            return True


@pytest.fixture
def options(options: HubOptions) -> HubOptions:
    """Return options with any free ports: no SDK here needs 8883."""
    return HubOptions(
        certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
    )


@pytest.fixture
def dial(hub: LocalHub, options: HubOptions) -> Iterator[Dial]:
    with contextlib.ExitStack() as lines:

        def connect(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Line:
            line = Line(hub, options.address, version)
            lines.callback(line.socket.close)
            return line

        yield connect


def connect_packet(connection_string: str, *, expiry: float | None = None) -> Connect:
    fields = dict(part.split("=", 1) for part in connection_string.split(";"))
    host, device_id = fields["HostName"], fields["DeviceId"]
    expires = time.time() + 3600 if expiry is None else expiry
    password = token(f"{host}/devices/{device_id}", fields["SharedAccessKey"], expiry=expires)
    return Connect(
        client_id=device_id,
        clean_session=False,
        keep_alive=60,
        user_name=f"{host}/{device_id}/?api-version=2021-04-12",
        password=password.encode(),
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_supported(
    hub: LocalHub, options: HubOptions, version: ssl.TLSVersion
) -> None:
    line = Line(hub, options.address, version)
    line.send(connect_packet(hub.create_device("one")))
    assert line.receive() == [ConnAck(0)]
    line.send(PingReq())
    assert line.receive() == [PingResp()]
    line.send(Disconnect())
    assert line.ends()
    line.socket.close()


def test_a_refused_client_gets_its_connack_before_the_end(hub: LocalHub, dial: Dial) -> None:
    line = dial()
    line.send(connect_packet(hub.create_device("one"), expiry=time.time() - 1))
    assert line.receive() == [ConnAck(5)]
    assert line.ends()


def test_a_connection_ends_when_its_token_expires(hub: LocalHub, dial: Dial) -> None:
    line = dial()
    expiry = int(time.time()) + 2
    line.send(connect_packet(hub.create_device("one"), expiry=expiry))
    assert line.receive() == [ConnAck(0)]
    assert line.ends()
    assert time.time() >= expiry


def test_a_silent_device_is_dropped_after_one_and_a_half_keep_alives(
    hub: LocalHub, dial: Dial
) -> None:
    line = dial()
    packet = connect_packet(hub.create_device("one"))
    started = time.monotonic()
    line.send(
        Connect(
            **{name: getattr(packet, name) for name in packet.__slots__ if name != "keep_alive"},
            keep_alive=1,
        )
    )
    assert line.receive() == [ConnAck(0)]
    assert line.ends()
    assert 1.4 < time.monotonic() - started < 5


def test_a_client_that_never_connects_is_dropped(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_TIMEOUT_SECONDS", 0.2)
    line = dial()
    line.socket.sendall(b"\x10")
    assert line.ends()


def test_invalid_bytes_close_their_own_connection_only(hub: LocalHub, dial: Dial) -> None:
    good = dial()
    good.send(connect_packet(hub.create_device("one")))
    assert good.receive() == [ConnAck(0)]
    chance = random.Random(1)  # noqa: S311  the same bytes every time
    for _ in range(20):
        bad = dial()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            bad.socket.sendall(b"\xff" + chance.randbytes(chance.randint(1, 500)))
        assert bad.ends()
    with socket.create_connection(good.socket.getpeername()) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    good.send(PingReq())
    assert good.receive() == [PingResp()]


def test_a_huge_remaining_length_closes_the_connection_at_once(hub: LocalHub, dial: Dial) -> None:
    line = dial()
    line.send(connect_packet(hub.create_device("one")))
    assert line.receive() == [ConnAck(0)]
    line.socket.sendall(b"\x30\xff\xff\xff\x7f")
    assert line.ends()


def test_a_lost_device_is_shown_as_disconnected(hub: LocalHub, dial: Dial) -> None:
    service = service_client(hub, hub.connection_string)
    line = dial()
    line.send(connect_packet(hub.create_device("one")))
    assert line.receive() == [ConnAck(0)]
    assert service.get_twin("one").connection_state == "Connected"
    line.socket.close()
    eventually(lambda: service.get_twin("one").connection_state == "Disconnected")
    service.protocol.close()


def test_a_device_that_does_not_read_is_disconnected(
    hub: LocalHub, dial: Dial, service: IoTHubRegistryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_UNSENT_BYTES", 100_000)
    line = dial()
    line.send(connect_packet(hub.create_device("one")))
    assert line.receive() == [ConnAck(0)]
    subscribe = b"\x82\x2c\0\1\0\x27$iothub/twin/PATCH/properties/desired/#\1"
    line.socket.sendall(subscribe)
    line.receive()

    desired = {f"k{number}": "x" * 4000 for number in range(7)}
    deadline = time.monotonic() + 20
    while service.get_twin("one").connection_state == "Connected":
        assert time.monotonic() < deadline
        service.update_twin("one", Twin(properties={"desired": desired}), None)
