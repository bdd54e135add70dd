"""Test downloads through networks and servers that respond in unusual, but usable, ways."""

from dataclasses import replace

import pytest

from tests.device_agent.conftest import DownloadingDevice
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
)

HALF = 60_000
HTML = b"<html><body>Welcome. Accept the terms to continue.</body></html>"
PAGE = ok("Content-Type: text/html; charset=utf-8", f"Content-Length: {len(HTML)}", body=HTML)


def half(exchange: Exchange) -> None:
    """Send the first part and close."""
    exchange.say("200 OK", f"Content-Length: {SIZE}", 'ETag: "one"')
    exchange.send(PACKAGE[:HALF])


def rest_from(first: int) -> Responder:
    """Return a responder that sends the rest, from `first` whatever was requested."""
    stated = f"Content-Range: bytes {first}-{SIZE - 1}/{SIZE}"
    length = f"Content-Length: {SIZE - first}"
    return respond_with("206 Partial Content", stated, length, body=PACKAGE[first:])


def ranged(exchange: Exchange) -> None:
    """Send what was requested."""
    rest_from(exchange.offset)(exchange)


INFORMATIONAL = {
    "continue": ["100 Continue"],
    "processing": ["102 Processing", "102 Processing", "102 Processing"],
    "early hints": ["103 Early Hints\r\nLink: </style.css>; rel=preload"],
    "all": ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </a>", "199 Unknown"],
}


@pytest.mark.parametrize("statuses", INFORMATIONAL.values(), ids=INFORMATIONAL)
@pytest.mark.parametrize("last", [honest, ok(CHUNKED, body=chunked(PACKAGE, b""))])
def test_informational_responses_are_skipped(
    device: DownloadingDevice,
    server: ScriptedServer,
    url: str,
    statuses: list[str],
    last: Responder,
) -> None:
    def say(exchange: Exchange) -> None:
        for status in statuses:
            exchange.say(status)
        last(exchange)

    server.script(say)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("first", [0, 1, HALF - 40_000, HALF - 1, HALF])
@pytest.mark.parametrize("is_hashed", [True, False])
def test_a_part_that_starts_earlier_than_requested_is_used(
    device: DownloadingDevice, server: ScriptedServer, url: str, first: int, *, is_hashed: bool
) -> None:
    server.script(half, rest_from(first))
    device.fetch(url, PACKAGE if is_hashed else None)
    assert device.content == PACKAGE
    assert len(server.exchanges) == 2


BAD_RANGES = {
    "missing": (),
    "too late": (f"Content-Range: bytes {HALF + 1}-{SIZE - 1}/{SIZE}",),
    "no number": ("Content-Range: bytes x-y/z",),
    "several parts": ("Content-Type: multipart/byteranges; boundary=x",),
}


@pytest.mark.parametrize("headers", BAD_RANGES.values(), ids=BAD_RANGES)
def test_a_server_whose_parts_are_unusable_sends_the_whole_package_instead(
    device: DownloadingDevice, server: ScriptedServer, url: str, headers: tuple[str, ...]
) -> None:
    def bad_part(exchange: Exchange) -> None:
        exchange.say("206 Part", f"Content-Length: {SIZE - HALF}", *headers)

    server.script(half, bad_part, honest)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    assert server.exchanges[2].header("Range") is None


def test_a_server_that_sends_smaller_parts_gets_the_next_request_at_once(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    def slice_of(exchange: Exchange) -> None:
        first = exchange.offset
        last = min(first + 9_999, SIZE - 1)
        exchange.say(
            "206 Partial Content",
            f"Content-Range: bytes {first}-{last}/{SIZE}",
            f"Content-Length: {last + 1 - first}",
        )
        exchange.send(PACKAGE[first : last + 1])

    device.limits = replace(device.limits, first_pause_seconds=3, max_seconds=10)
    server.script(slice_of)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    assert server.sent == SIZE


def test_a_body_without_a_length_ends_with_its_connection(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(ok())
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    server.script(ok())
    device.fetch(f"{url}&other", size=SIZE)
    assert device.content == PACKAGE


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_body_without_a_length_that_is_cut_is_continued(
    device: DownloadingDevice, server: ScriptedServer, url: str, size: int | None
) -> None:
    server.script(ok(body=PACKAGE[:HALF]), ranged)
    device.fetch(url, PACKAGE, size=size)
    assert device.content == PACKAGE
    assert server.sent == SIZE


@pytest.mark.parametrize("headers", [(), (CHUNKED,)], ids=["no length", "chunks"])
def test_bytes_after_the_package_are_refused_and_the_package_is_requested_again(
    device: DownloadingDevice, server: ScriptedServer, url: str, headers: tuple[str, ...]
) -> None:
    body = PACKAGE + b"\r\n"
    server.script(ok(*headers, body=chunked(body, b"") if headers else body), honest)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    server.script(ok(body=body))
    assert device.code(f"{url}&other", PACKAGE[::-1], size=SIZE) == "sizeMismatch"
    assert device.content == b""


REDIRECT = respond_with("302 Found", "Location: /portal", "Content-Length: 0")
LOOP = respond_with("302 Found", "Location: /fw.bin", "Content-Length: 0")
PORTALS = {
    "a page": [PAGE],
    "a page in chunks": [ok("Content-Type: text/html", CHUNKED, body=chunked(HTML, b""))],
    "a page without a length": [ok("Content-Type: text/html", body=HTML)],
    "a redirect to a page": [REDIRECT, PAGE],
    "a redirect loop": [LOOP] * 6,
    "a text": [ok("Content-Type: text/plain", f"Content-Length: {len(HTML)}", body=HTML)],
    "an unknown type": [ok(f"Content-Length: {len(HTML)}", body=HTML)],
    "a page of the right size": [
        ok("Content-Type: text/html", f"Content-Length: {SIZE}", body=HTML.ljust(SIZE))
    ],
    "network authentication required": [respond_with("511 Network Authentication Required")],
    "forbidden": [respond_with("403 Forbidden", "Content-Length: 0")],
    "not found": [respond_with("404 Not Found", "Content-Length: 0")],
    "no content": [respond_with("204 No Content")],
    "an invalid length": [ok("Content-Length: 1, 2", body=HTML)],
    "gzip": [ok("Content-Encoding: gzip", f"Content-Length: {SIZE}")],
    "a coding": [ok("Transfer-Encoding: gzip, chunked")],
}


@pytest.mark.parametrize("portal", PORTALS.values(), ids=PORTALS)
@pytest.mark.parametrize("size", [SIZE, None], ids=["size known", "size unknown"])
def test_one_wrong_response_is_not_the_end(
    device: DownloadingDevice,
    server: ScriptedServer,
    url: str,
    portal: list[Responder],
    size: int | None,
) -> None:
    server.script(*portal, honest)
    device.fetch(url, PACKAGE, size=size)
    assert device.content == PACKAGE
    assert server.exchanges[-1].header("Cache-Control") == "no-transform"


def test_a_web_page_between_two_parts_costs_no_byte_of_the_package(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(half, *[PAGE] * 2, REDIRECT, PAGE, respond_with("404 Not Found"), ranged)
    device.limits = replace(device.limits, max_attempts=6)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    assert server.sent == SIZE + 3 * len(HTML)


def test_a_web_page_is_not_taken_for_a_package_of_which_nothing_is_known(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(PAGE, PAGE, honest)
    device.fetch(url)
    assert device.content == PACKAGE
    server.script(PAGE)
    assert device.code(f"{url}&other") == "badResponse"


def test_a_package_that_its_server_calls_html_is_accepted_by_size_and_hash(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(ok("Content-Type: text/html", f"Content-Length: {SIZE}"))
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "410 Gone", "400 Bad"])
def test_a_server_that_keeps_refusing_gets_three_requests(
    device: DownloadingDevice, server: ScriptedServer, url: str, status: str
) -> None:
    server.script(respond_with(status))
    assert device.code(url, PACKAGE) in ("downloadRefused", "packageNotFound")
    assert len(server.exchanges) == 3


def test_lost_connections_do_not_count_as_refusals(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    lost, refused = respond_with("503 Busy"), respond_with("404 Not Found")
    device.limits = replace(device.limits, max_attempts=8)
    server.script(lost, lost, refused, lost, lost, refused, honest)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE


@pytest.mark.parametrize("stated", [(), ("Content-Range: bytes */*",), ("Content-Range: x",)])
def test_a_whole_package_with_its_hash_needs_no_request(
    device: DownloadingDevice, server: ScriptedServer, url: str, stated: tuple[str, ...]
) -> None:
    """Download again, as after a crash between the last byte and the journal."""
    server.script(honest, respond_with("416 Range Not Satisfiable", *stated))
    device.fetch(url, PACKAGE)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(
    "changed",
    [
        respond_with(
            "206 Part",
            f"Content-Range: bytes {HALF}-{SIZE}/{SIZE + 1}",
            f"Content-Length: {SIZE + 1 - HALF}",
        ),
        respond_with(
            "206 Part",
            'ETag: "two"',
            f"Content-Range: bytes {HALF}-{SIZE - 1}/{SIZE}",
            f"Content-Length: {SIZE - HALF}",
        ),
    ],
    ids=["size", "entity tag"],
)
def test_a_package_that_changes_for_one_response_is_downloaded(
    device: DownloadingDevice, server: ScriptedServer, url: str, changed: Responder
) -> None:
    server.script(half, changed, ranged)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
