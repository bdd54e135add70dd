"""Test which addresses are dialled, and requests to a server on loopback."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from functions.outbound.addresses import refused_kind
from functions.outbound.https import HttpsOutbound
from functions.outbound.port import AddressError, AllowedAddresses

PUBLIC, LOOPBACK, PRIVATE = AllowedAddresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "168.63.129.16", "::1", "::", "fe80::1%eth0", "fd00:ec2::254",
        "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::ffff:168.63.129.16",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refused_kind(address, PUBLIC) is not None


def test_more_may_be_allowed_but_never_link_local_and_platform_addresses() -> None:
    assert refused_kind("93.184.215.14", PUBLIC) is None
    assert refused_kind("2606:2800:21f:cb07::1", PUBLIC) is None
    assert refused_kind("127.0.0.1", LOOPBACK) is None
    assert refused_kind("10.0.0.1", LOOPBACK) == "private"
    assert refused_kind("10.0.0.1", PRIVATE) is None
    for address in ("169.254.169.254", "168.63.129.16", "fe80::1"):
        assert refused_kind(address, PRIVATE) is not None


class _Handler(BaseHTTPRequestHandler):
    requests: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, self.headers["Host"], body))
        self.send_response(302 if self.path == "/redirect" else 429)
        self.send_header("Location", "/elsewhere")
        self.send_header("Retry-After", "7")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    _Handler.requests = []
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_post_reaches_the_server_with_its_own_host_and_follows_no_redirect(port: int) -> None:
    outbound = HttpsOutbound(LOOPBACK)
    url = f"http://127.0.0.1:{port}"
    outcome = outbound.post(f"{url}/a?b=c", {"Content-Type": "text/plain"}, b"hi")
    assert (outcome.status, outcome.retry_after_seconds) == (429, 7)
    assert outbound.post(f"{url}/redirect", {}, b"").status == 302
    host = f"127.0.0.1:{port}"
    assert _Handler.requests == [("/a?b=c", host, b"hi"), ("/redirect", host, b"")]


def test_by_default_neither_plain_http_nor_loopback_is_dialled(port: int) -> None:
    outbound = HttpsOutbound(PUBLIC)
    with pytest.raises(AddressError, match="https"):
        outbound.check("http://93.184.215.14/")
    with pytest.raises(AddressError, match="loopback address"):
        outbound.check(f"https://127.0.0.1:{port}/")
    assert outbound.post(f"https://127.0.0.1:{port}/?sig=c2Vj", {}, b"").status is None
    assert _Handler.requests == []


def test_a_server_that_does_not_respond_is_no_error_and_no_secret_is_shown(port: int) -> None:
    outcome = HttpsOutbound(LOOPBACK).post(f"https://127.0.0.1:{port}/?sig=c2Vj", {}, b"x")
    assert outcome.status is None
    assert "c2Vj" not in outcome.detail
