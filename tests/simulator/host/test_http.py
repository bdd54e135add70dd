"""The HTTP side of a running host, through real sockets."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from simulator.host.http_server import MAX_BODY_BYTES
from tests.simulator.host.running_host import RunningHost, run_host
from tests.waiting import eventually

SETTINGS = {"TICK_SCHEDULE": "0 0 0 1 1 *"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with run_host("basic", tmp_path_factory.mktemp("host"), SETTINGS) as started:
        yield started
        assert started.stop() == 0


def raw(host: RunningHost, request: bytes) -> bytes:
    """Send bytes as they are; read until the host closes, for 5 s at most."""
    assert host.url is not None
    address = urlsplit(host.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def get_raw(host: RunningHost, target: bytes) -> tuple[int, bytes]:
    """Return status and body for a request target that is sent as it is."""
    head, _, body = raw(
        host, b"GET " + target + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    ).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_the_function_sees_the_request(host: RunningHost) -> None:
    seen = host.request(
        "PATCH",
        "/API/Echo/Ab%20c?a=1&a=2&empty=&plus=x+y%2B&b",
        data=b"\xff\x00body",
        headers={"X-Mixed-Case": "Value"},
    ).json()
    assert seen["method"] == "PATCH"
    assert seen["route"] == {"name": "Ab c"}
    assert seen["params"] == {"a": "1,2", "plus": "x y+"}
    assert seen["body"] == "\xff\x00body"
    assert seen["headers"]["x-mixed-case"] == "Value"
    assert seen["url"] == f"{host.url}/API/Echo/Ab%20c?a=1&a=2&empty=&plus=x+y%2B&b"


def test_a_route_without_parameters_has_none(host: RunningHost) -> None:
    assert host.request("GET", "/api/echo").json()["route"] == {}


def test_repeated_headers_are_joined(host: RunningHost) -> None:
    response = raw(
        host,
        b"GET /api/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: 1\r\nx-a: 2\r\n\r\n",
    )
    assert json.loads(response.partition(b"\r\n\r\n")[2])["headers"]["x-a"] == "1,2"


def test_a_synchronous_function_responds_too(host: RunningHost) -> None:
    assert host.request("POST", "/api/echo-sync", data="x").json()["body"] == "x"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/api/echo/a%2Fb", "a%2Fb"),
        (b"/api/echo/a%252Fb", "a%2Fb"),
        (b"/api/echo/a%23b", "a#b"),
        (b"/api/echo/a%3Fb", "a?b"),
        (b"/api/echo/%C3%A9", "é"),
        (b"/api/echo/a%FFb", "a%FFb"),
        (b"/api/echo/a%b", "a%b"),
        (b"/api/echo/%27%22", "'\""),
        (b"/api/echo/a+b", "a+b"),
        (b"http://other/api/echo/a", "a"),
        (b"/api/x/../echo/./a", "a"),
        (b"/api/x/%2e%2e/echo/a", "a"),
    ],
)
def test_a_route_parameter_is_decoded_once(host: RunningHost, target: bytes, name: str) -> None:
    status, body = get_raw(host, target)
    assert (status, json.loads(body)["route"]) == (200, {"name": name})


@pytest.mark.parametrize("target", [b"/api/echo/%00", b"/api/echo/\xc3\xa9"])
def test_a_target_that_kestrel_refuses_is_400(host: RunningHost, target: bytes) -> None:
    assert get_raw(host, target)[0] == 400


def test_a_header_that_is_not_utf_8_is_400(host: RunningHost) -> None:
    request = b"GET /api/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: \xff\r\n\r\n"
    assert raw(host, request).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api"),
        ("GET", "/api/unknown"),
        ("GET", "/echo"),
        ("PUT", "/api/echo-sync"),
        ("HEAD", "/api/echo-sync"),
        ("OPTIONS", "/api/echo-sync"),
        ("GET", "/api/echo/a/b"),
        ("GET", "/"),
        ("GET", "/admin/host/status"),
    ],
)
def test_a_request_that_no_route_matches_is_404_with_an_empty_body(
    host: RunningHost, method: str, path: str
) -> None:
    response = host.request(method, path)
    assert (response.status_code, response.content) == (404, b"")


def test_status_headers_and_body_come_through(host: RunningHost) -> None:
    response = host.request("GET", "/api/teapot")
    assert (response.status_code, response.content) == (418, b"\x00body")
    assert response.headers["x-one"] == "1"
    assert response.headers["content-length"] == "5"


@pytest.mark.parametrize(
    "how",
    ["/raise", "/none", "/text", "/cookie", "/status", "/header", "/exit", "/cancel", "-sync"],
)
def test_a_failed_function_is_500_with_an_empty_body(host: RunningHost, how: str) -> None:
    response = host.request("GET", f"/api/fail{how}")
    assert (response.status_code, response.content) == (500, b"")
    assert "x-injected" not in response.headers


def test_the_log_has_an_executing_and_an_executed_line_and_the_stack_trace(
    host: RunningHost,
) -> None:
    before = host.log.count("RuntimeError: on purpose")
    host.request("GET", "/api/fail/raise")
    lines = [line for line in host.log.splitlines() if "'Functions.fail'" in line]
    assert "Executing 'Functions.fail' (Reason='This function was" in lines[-2]
    assert "Executed 'Functions.fail' (Failed, Id=" in lines[-1]
    assert host.log.count("RuntimeError: on purpose") == before + 1


def test_a_chunked_body_arrives_empty(host: RunningHost) -> None:
    seen = host.request("POST", "/api/echo", data=iter([b"some", b"thing"])).json()
    assert seen["body"] == ""


def test_a_body_over_the_limit_is_refused_before_it_is_sent(host: RunningHost) -> None:
    head = f"POST /api/echo HTTP/1.1\r\nHost: h\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    assert host.url is not None
    address = urlsplit(host.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode())
        received = connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Length: 0\r\n" in received


def test_a_body_of_two_megabytes_is_passed_on(host: RunningHost) -> None:
    accepted = host.request("POST", "/api/echo", data=b"x" * 2_000_000)
    assert len(accepted.json()["body"]) == 2_000_000


def test_a_client_that_waits_for_100_continue_receives_it(host: RunningHost) -> None:
    response = raw(
        host,
        b"POST /api/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\n\r\nok",
    )
    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert b'"body": "ok"' in response


def test_a_client_that_disconnects_within_its_body_runs_nothing(host: RunningHost) -> None:
    assert host.url is not None
    address = urlsplit(host.url)
    before = host.log
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(b"POST /api/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
    assert host.request("GET", "/api/teapot").status_code == 418
    later = host.log.removeprefix(before)
    assert "Functions.echo" not in later
    assert "Traceback" not in later


def test_a_compressed_body_is_passed_on_unchanged(host: RunningHost) -> None:
    headers = {"Content-Encoding": "gzip"}
    seen = host.request("POST", "/api/echo", data=b"not gzip", headers=headers).json()
    assert seen["body"] == "not gzip"


def test_user_logs_carry_the_function_name(host: RunningHost) -> None:
    response = host.request("GET", "/api/logs")
    assert response.text == "Development"
    assert "INFO    [logs] from the pool thread" in host.log
    assert "WARNING [logs] from an own thread" in host.log


def test_no_url_reaches_the_log(host: RunningHost) -> None:
    for path in (
        "/api/echo?code=hidden-key",
        "/api/fail/raise?code=hidden-key",
        "/x?code=hidden-key",
    ):
        host.request("GET", path)
    get_raw(host, b"/api/echo?code=hidden-key\x01")
    raw(host, b"GET /api/echo?code=hidden-key HTTP/9.9\r\n\r\n")
    assert "hidden-key" not in host.log


def test_enforced_keys_open_what_their_level_allows_and_a_disabled_function_is_404(
    tmp_path: Path,
) -> None:
    keys = {"_master": "m", "default": "h", "echo/one": "e"}
    settings = SETTINGS | {"AzureWebJobs.echoName.Disabled": "1"}
    with run_host("basic", tmp_path, settings, enforce_keys=True, keys=keys) as host:

        def status(path: str, key: str = "") -> int:
            return host.request("GET", path, headers={"x-functions-key": key}).status_code

        assert [status("/api/echo", key) for key in ("", "x", "m", "h", "e")] == [
            *(401, 401, 200, 200, 200)
        ]
        assert [status("/api/teapot", key) for key in ("e", "h")] == [401, 418]
        assert status("/api/echo-sync", "x") == 200
        assert status("/api/echo?code=h") == 200
        assert status("/api/echo?code=h", "x") == 401
        assert host.request("GET", "/api/echo").content == b""
        assert status("/api/echo/name", "m") == 404
        assert "/api/echo/{name} (disabled)" in host.output
        assert host.stop() == 0


def test_many_requests_at_once_are_kept_apart(host: RunningHost) -> None:
    def echo(number: int) -> str:
        path = "/api/echo" if number % 2 else "/api/echo-sync"
        body: str = host.request("POST", path, data=str(number)).json()["body"]
        return body

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(echo, range(100))) == [str(number) for number in range(100)]
    eventually(lambda: host.log.count("Executed") == host.log.count("Executing"), what=host)
