"""Test lookups of packages on a server of this machine, within the address rules."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.outbound.https import HttpsOutbound
from functions.outbound.packages import HttpPackageLookup
from functions.outbound.port import AllowedAddresses, Lookup

SECRET = "c2VjcmV0c2lnbmF0dXJl"
OPEN = HttpPackageLookup(HttpsOutbound(AllowedAddresses.LOOPBACK), seconds=5)


class _Handler(BaseHTTPRequestHandler):
    requests: list[str]

    def do_HEAD(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def _respond(self) -> None:
        path, _, query = self.path.partition("?")
        self.requests.append(f"{self.command} {path} {self.headers['Range']}")
        is_get = self.command == "GET"
        if path == "/slow":
            time.sleep(1)
        if path.startswith("/to"):
            again = f"{path}?{path}" if path == "/to-itself" else ""
            self._send(302, Location=again or query or "/fw.bin?sig=other")
        elif path == "/get-only":
            self._send(206 if is_get else 403, **{"Content-Range": "bytes 0-0/1234"})
        elif path == "/fw.bin":
            self._send(200, **{"Content-Length": "1234"})
        else:
            self._send(404)

    def _send(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    _Handler.requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/fw.bin", "/to", "/to?/to"])
def test_a_package_is_found_with_its_size_also_behind_redirects(url: str, path: str) -> None:
    assert OPEN.look_up(f"{url}{path}") == Lookup(size_bytes=1234)
    assert {item.split()[0] for item in _Handler.requests} == {"HEAD"}


def test_a_link_that_is_signed_for_get_alone_is_read_by_its_first_byte(url: str) -> None:
    assert OPEN.look_up(f"{url}/get-only?sig={SECRET}") == Lookup(size_bytes=1234)
    assert _Handler.requests == ["HEAD /get-only None", "GET /get-only bytes=0-0"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/nothing", "status 404"),
        ("/to?ftp://packages.example/fw", "a redirect leads to no http or https URL"),
        ("/to?http://[::1/fw", "a redirect leads to no http or https URL"),
        ("/to?http://10.0.0.1/fw", "a private address"),
        ("/to?http://169.254.169.254/metadata", "link-local"),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_link(url: str, path: str, problem: str) -> None:
    found = OPEN.look_up(f"{url}{path}{'&' if '?' in path else '?'}sig={SECRET}")
    assert problem in (found.problem or "")
    assert SECRET not in repr(found)


def test_endless_redirects_end(url: str) -> None:
    assert OPEN.look_up(f"{url}/to-itself?/to-itself").problem == "more than 5 redirects"
    assert len(_Handler.requests) == 6


def test_a_slow_server_does_not_keep_a_plan_waiting(url: str) -> None:
    lookup = HttpPackageLookup(HttpsOutbound(AllowedAddresses.LOOPBACK), seconds=0.1)
    begun = time.monotonic()
    assert lookup.look_up(f"{url}/slow").problem == "no response within 0.1 s"
    assert time.monotonic() - begun < 0.9


def test_addresses_of_this_network_are_not_dialled_by_default(url: str) -> None:
    lookup = HttpPackageLookup(HttpsOutbound(AllowedAddresses.PUBLIC))
    assert "loopback" in (lookup.look_up(url.replace("http", "https")).problem or "")
    assert lookup.look_up(url).problem == "must be an https URL"
    assert _Handler.requests == []
