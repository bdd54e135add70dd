"""Test servers with invalid responses: memory and disk stay bounded, reports stay clear."""

import gzip
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

import pytest

from tests.device_agent.conftest import LIMIT, SECRET, DownloadingDevice
from tests.device_agent.scripted_server import (
    CHUNKED,
    PACKAGE,
    SIZE,
    Exchange,
    Responder,
    ScriptedServer,
    chunked,
    honest,
    ok,
    respond_with,
    trickle,
)

BLOCK = bytes(50_000)


def endless_chunks(exchange: Exchange) -> None:
    exchange.say("200 OK", CHUNKED)
    exchange.send_on(repeat(chunked(BLOCK)))


def test_an_honest_server_sends_the_package(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(honest)
    assert device.fetch(url, PACKAGE, size=SIZE).size_bytes == SIZE
    assert device.content == PACKAGE
    request = server.exchanges[0]
    assert request.header("Accept-Encoding") == "identity"
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert request.header("Authorization") == "Basic dXNlcjpodXNo"


LIES = {
    "one byte too few": (ok("Content-Length: 99999"), "sizeMismatch"),
    "one byte too many": (ok("Content-Length: 100001"), "sizeMismatch"),
    "18 digits": (ok("Content-Length: " + "9" * 18), "sizeMismatch"),
    "4000 digits": (ok("Content-Length: " + "9" * 4000), "badResponse"),
    "5000 digits": (ok("Content-Length: " + "9" * 5000), "badResponse"),
    "negative": (ok("Content-Length: -1"), "badResponse"),
    "hexadecimal": (ok("Content-Length: 0x10"), "badResponse"),
    "a list": (ok("Content-Length: 100000, 100000"), "badResponse"),
    "two, the right one first": (ok("Content-Length: 100000", "Content-Length: 5"), "badResponse"),
    "two, the right one last": (ok("Content-Length: 5", "Content-Length: 100000"), "badResponse"),
    "a coding": (ok("Content-Length: 100000", "Transfer-Encoding: gzip, chunked"), "badResponse"),
    "cut again and again": (ok("Content-Length: 100000", body=PACKAGE[:-1]), "downloadFailed"),
    "empty": (ok("Content-Length: 0", body=b""), "sizeMismatch"),
    "a wrong byte": (ok("Content-Length: 100000", body=PACKAGE[:-1] + b"?"), "hashMismatch"),
    "one chunk more": (ok(CHUNKED, body=chunked(PACKAGE, b"?")), "sizeMismatch"),
    "a negative chunk": (ok(CHUNKED, body=b"-5\r\n" + PACKAGE[1:]), "downloadFailed"),
    "a huge chunk": (ok(CHUNKED, body=b"f" * 70_000), "downloadFailed"),
    "no chunk": (ok(CHUNKED, body=b"five\r\n"), "downloadFailed"),
    "a part": (respond_with("206 Partial Content", "Content-Length: 100000"), "badResponse"),
    "no content": (respond_with("204 No Content"), "downloadRefused"),
    "not modified": (respond_with("304 Not Modified"), "downloadRefused"),
    "a redirect to nowhere": (respond_with("302 Found", "Content-Length: 0"), "downloadRefused"),
}


@pytest.mark.parametrize(("lie", "code"), LIES.values(), ids=LIES)
def test_a_wrong_length_or_wrong_bytes_are_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str, lie: Responder, code: str
) -> None:
    server.script(lie)
    assert device.code(url, PACKAGE, size=SIZE) == code
    if code == "hashMismatch":
        assert device.content == b""


NOTHING_KNOWN = {
    "until it closes": (ok(), "badResponse"),
    "18 digits": (ok("Content-Length: " + "9" * 18), "tooLarge"),
    "empty": (ok("Content-Length: 0", body=b""), "downloadFailed"),
    "one byte too many": (ok("Content-Length: 100001"), "downloadFailed"),
    "cut in a chunk": (ok(CHUNKED, body=b"186a1\r\n" + PACKAGE), "downloadFailed"),
    "cut after a chunk": (ok(CHUNKED, body=chunked(PACKAGE)), "downloadFailed"),
}


@pytest.mark.parametrize(("lie", "code"), NOTHING_KNOWN.values(), ids=NOTHING_KNOWN)
def test_a_wrong_length_is_refused_without_hash_and_size(
    device: DownloadingDevice, server: ScriptedServer, url: str, lie: Responder, code: str
) -> None:
    server.script(lie)
    assert device.code(url) == code


@pytest.mark.parametrize("size", [SIZE, None])
def test_an_endless_body_is_not_kept(
    device: DownloadingDevice, server: ScriptedServer, url: str, size: int | None
) -> None:
    server.script(endless_chunks)
    tracemalloc.start()
    try:
        assert device.code(url, PACKAGE, size=size) == (
            "tooLarge" if size is None else "sizeMismatch"
        )
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert device.content == b""


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "lie",
    [
        trickle(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
        trickle(OK + b"Content-Length: 100000\r\nConnection: close\r\n\r\n", b"x"),
        trickle(OK + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", b"0"),
        trickle(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"a: b\r\n"),
        trickle(OK + b"X: ", b"x"),
        trickle(b"HTTP/1.1 ", b"2"),
        trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "close", "chunk size", "trailer", "header", "status", "continue"],
)
def test_a_trickle_ends_at_the_time_limit(
    device: DownloadingDevice, server: ScriptedServer, url: str, lie: Responder
) -> None:
    device.limits = replace(device.limits, max_seconds=0.4)
    server.script(lie)
    began = time.monotonic()
    assert device.code(url, PACKAGE, size=SIZE) == "tooSlow"
    assert time.monotonic() - began < 3


def _garbage() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "another protocol", b"SSH-2.0-OpenSSH_9.6\r\n" * 3
    yield "an echo", b"GET /fw.bin?sig=" + SECRET.encode() + b" HTTP/1.1\r\n\r\n"
    yield "zeros", bytes(1 << 20)
    yield "one line", b"x" * (1 << 20)
    yield "HTTP/2", b"HTTP/2 200\r\nContent-Length: 5\r\n\r\n"
    yield "a long header", OK + b"X: " + b"x" * (1 << 20)
    yield "many headers", OK + b"X: x\r\n" * 100_000
    yield "many long headers", OK + (b"X: " + b"x" * 60_000 + b"\r\n") * 99 + b"\r\n"


@pytest.mark.parametrize("text", [text for _, text in _garbage()], ids=dict(_garbage()))
def test_a_response_that_is_not_http_is_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str, text: bytes
) -> None:
    server.script(lambda exchange: exchange.send(text))
    tracemalloc.start()
    try:
        assert device.code(url, PACKAGE, size=SIZE) in ("downloadFailed", "badResponse")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate, gzip", "br", "identity, gzip"])
def test_a_compressed_package_is_refused_unopened(
    device: DownloadingDevice, server: ScriptedServer, url: str, encoding: str
) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    server.script(ok(f"Content-Encoding: {encoding}", f"Content-Length: {len(bomb)}", body=bomb))
    assert device.code(url) == "encodedPackage"
    assert device.content == b""


def test_content_encoding_identity_is_accepted(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(ok("Content-Encoding: Identity", f"Content-Length: {SIZE}"))
    assert device.fetch(url, PACKAGE).size_bytes == SIZE


def test_chunks_without_a_known_size_are_accepted(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(ok(CHUNKED, body=chunked(PACKAGE[:7], PACKAGE[7:], b"")))
    device.fetch(url)
    assert device.content == PACKAGE


def refusal(status: str, text: bytes) -> Responder:
    return respond_with(status, f"Content-Length: {len(text)}", body=text)


AZURE = b"\xef\xbb\xbf<Error>Signature not valid in the specified time frame: Start []</Error>"
REFUSALS = {
    "se is past": (refusal("403 Forbidden", b""), "se=2020-01-01T00:00:00Z", "packageUriExpired"),
    "se is a past day": (refusal("403 Forbidden", b""), "se=2020-01-01", "packageUriExpired"),
    "Azure says so": (refusal("403 Forbidden", AZURE), "", "packageUriExpired"),
    "S3 says so": (refusal("403 Forbidden", b"Request has expired"), "", "packageUriExpired"),
    "se is to come": (refusal("403 No", b"no"), "se=2990-01-01T00:00:00Z", "downloadRefused"),
    "se is no time": (refusal("403 Forbidden", b"no"), "se=tomorrow", "downloadRefused"),
    "a long text": (refusal("403 Forbidden", b"x" * LIMIT), "", "downloadRefused"),
    "an endless text": (
        trickle(b"HTTP/1.1 403 No\r\nContent-Length: 9999\r\n\r\n", b"x"),
        "",
        "downloadRefused",
    ),
    "unauthorized": (refusal("401 Unauthorized", b""), "", "downloadRefused"),
    "not found": (refusal("404 Not Found", b""), "", "packageNotFound"),
    "gone": (refusal("410 Gone", b""), "", "packageNotFound"),
    "bad request": (refusal("400 Bad Request", b""), "", "downloadRefused"),
    "unavailable": (refusal("503 Service Unavailable", b""), "", "downloadFailed"),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_is_reported_with_its_code(
    device: DownloadingDevice, server: ScriptedServer, url: str, why: str
) -> None:
    says, query, code = REFUSALS[why]
    device.limits = replace(device.limits, max_seconds=1)
    server.script(says)
    assert device.code(f"{url}&{query}", PACKAGE) == code


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Too Many Requests", "408 Slow"])
def test_a_temporary_server_error_is_retried(
    device: DownloadingDevice, server: ScriptedServer, url: str, status: str
) -> None:
    server.script(respond_with(status), respond_with(status), honest)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE


def test_a_disk_that_fails_is_not_reported_as_a_download_failure(
    device: DownloadingDevice,
    server: ScriptedServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    server.script(honest)
    monkeypatch.setattr("device_agent.disk.os.write", full)
    with pytest.raises(OSError, match="No space left"):
        device.fetch(url, PACKAGE)
    assert len(server.exchanges) <= 1
