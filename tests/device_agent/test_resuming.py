"""Test that a lost download continues if the server still has the same package."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from device_agent.errors import SwitchedOffError
from tests.device_agent.conftest import DownloadingDevice
from tests.device_agent.scripted_server import (
    PACKAGE,
    SIZE,
    Exchange,
    Responder,
    ScriptedServer,
    honest,
    respond_with,
)

HALF = 60_000
OTHER = random.Random(8).randbytes(SIZE)  # noqa: S311


def half(*headers: str) -> Responder:
    """Return a responder that sends the first part and closes."""

    def say(exchange: Exchange) -> None:
        exchange.say("200 OK", f"Content-Length: {SIZE}", *headers)
        exchange.send(PACKAGE[:HALF])

    return say


def part(content_range: str | None, *headers: str, package: bytes = PACKAGE) -> Responder:
    """Return a responder that sends the rest, with this Content-Range."""

    def say(exchange: Exchange) -> None:
        named = [] if content_range is None else [f"Content-Range: {content_range}"]
        exchange.say("206 Partial Content", f"Content-Length: {SIZE - HALF}", *named, *headers)
        exchange.send(package[HALF:])

    return say


def cutting(package: bytes, chance: random.Random, most: int) -> Responder:
    """Return a responder whose connection is lost at any byte, in headers too."""

    def say(exchange: Exchange) -> None:
        begins = exchange.offset
        length = f"Content-Length: {SIZE - begins}"
        named = f"Content-Range: bytes {begins}-{SIZE - 1}/{SIZE}"
        head = f'HTTP/1.1 206 Part\r\n{length}\r\n{named}\r\nETag: "one"\r\n\r\n'.encode()
        if chance.random() < 0.2:
            exchange.socket.sendall(head[: chance.randrange(len(head))])
        else:
            exchange.socket.sendall(head)
            exchange.send(package[begins : begins + chance.randint(1, most)])

    return say


@pytest.mark.parametrize("seed", range(5))
def test_lost_connections_never_repeat_bytes(
    device: DownloadingDevice, server: ScriptedServer, url: str, seed: int
) -> None:
    device.limits = replace(device.limits, max_attempts=30)
    server.script(cutting(PACKAGE, random.Random(seed), 20_000))  # noqa: S311
    device.fetch(url, PACKAGE if seed % 2 else None)
    assert device.content == PACKAGE
    assert server.sent == SIZE
    assert len(server.exchanges) > 4


RIGHT = f"bytes {HALF}-{SIZE - 1}/{SIZE}"
BAD_PARTS = {
    "none": (None, "badResponse"),
    "another beginning": (f"bytes {HALF + 1}-{SIZE - 1}/{SIZE}", "badResponse"),
    "negative": (f"bytes -5-{SIZE - 1}/{SIZE}", "badResponse"),
    "another unit": (f"items {HALF}-{SIZE - 1}/{SIZE}", "badResponse"),
    "a huge number": (f"bytes {'9' * 5000}-{SIZE - 1}/{SIZE}", "badResponse"),
    "unsatisfied": (f"bytes */{SIZE}", "badResponse"),
    "another total": (f"bytes {HALF}-{SIZE - 1}/{SIZE + 1}", "sizeMismatch"),
}


@pytest.mark.parametrize(("content_range", "code"), BAD_PARTS.values(), ids=BAD_PARTS)
def test_a_part_that_was_not_requested_is_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str, content_range: str, code: str
) -> None:
    server.script(half('ETag: "one"'), part(content_range))
    assert device.code(url, PACKAGE, size=SIZE) == code


@pytest.mark.parametrize(
    "rest",
    [
        part(RIGHT),
        part(RIGHT, 'ETag: "one"'),
        part(f"bytes {HALF}-{SIZE - 1}/*"),
        part(RIGHT, 'ETag: W/"two"'),
    ],
)
def test_the_rest_of_a_package_is_appended(
    device: DownloadingDevice, server: ScriptedServer, url: str, rest: Responder
) -> None:
    server.script(half('ETag: "one"'), rest)
    device.fetch(url)
    assert device.content == PACKAGE
    assert server.sent == SIZE
    assert server.exchanges[1].header("If-Range") == '"one"'


def other(exchange: Exchange) -> None:
    exchange.say("200 OK", f"Content-Length: {SIZE}", 'ETag: "two"')
    exchange.send(OTHER)


@pytest.mark.parametrize(
    "changed",
    [
        (other,),
        (part(RIGHT, 'ETag: "two"', package=OTHER), other),
        (part(f"bytes {HALF}-{SIZE}/{SIZE + 1}", package=OTHER), other),
    ],
    ids=["200", "206 with another tag", "206 with another total"],
)
def test_a_changed_package_starts_again(
    device: DownloadingDevice, server: ScriptedServer, url: str, changed: tuple[Responder, ...]
) -> None:
    server.script(half('ETag: "one"'), *changed)
    device.fetch(url)
    assert device.content == OTHER


@pytest.mark.parametrize("tag", [(), ('ETag: W/"one"',), ("ETag: one",), (f'ETag: "{"x" * 999}"',)])
def test_a_package_without_hash_and_tag_is_not_resumed(
    device: DownloadingDevice, server: ScriptedServer, url: str, tag: tuple[str, ...]
) -> None:
    server.script(half(*tag), other)
    device.fetch(url)
    assert device.content == OTHER
    assert server.exchanges[1].header("Range") is None


def test_a_package_mixed_from_two_is_downloaded_once_more(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(half(), part(RIGHT, package=OTHER), honest)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    mixed = (half(), part(RIGHT, package=OTHER))
    server.script(*mixed, *mixed)
    assert device.code(url, OTHER[::-1]) == "hashMismatch"
    assert device.content == b""


def test_a_server_that_cannot_resume_sends_everything_again(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(half('ETag: "one"'), half('ETag: "one"'), honest)
    device.fetch(url, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    assert server.exchanges[2].header("If-Range") == '"one"'


def test_a_416_for_another_length_starts_again(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(half('ETag: "one"'), respond_with("416 No", "Content-Range: bytes */50"), honest)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    server.script(respond_with("416 No"))
    assert device.code(url, OTHER) == "downloadRefused"


def test_a_416_for_the_whole_package_ends_the_download(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    """Download again, as after a crash between the last byte and the journal."""
    server.script(honest, respond_with("416 No", f"Content-Range: bytes */{SIZE}"))
    device.fetch(url, PACKAGE)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    assert server.sent == SIZE


def silent(exchange: Exchange) -> None:
    exchange.wait()


def silent_later(exchange: Exchange) -> None:
    half('ETag: "one"')(exchange)
    exchange.wait()


def test_a_silent_server_fails_the_download(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    device.silence_seconds = 0.1
    server.script(silent)
    assert device.code(url, PACKAGE) == "downloadFailed"


def _stopped(device: DownloadingDevice, condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)
    device.stop()


@pytest.mark.parametrize("says", [silent, silent_later])
def test_a_stopped_device_does_not_wait_for_the_server(
    device: DownloadingDevice, server: ScriptedServer, url: str, says: Responder
) -> None:
    server.script(says, honest)
    kept = HALF if says is silent_later else 0
    stopper = threading.Thread(
        target=_stopped,
        args=(device, lambda: bool(server.exchanges) and len(device.content) == kept),
    )
    began = time.monotonic()
    stopper.start()
    with pytest.raises(SwitchedOffError):
        device.fetch(url, PACKAGE)
    stopper.join()
    assert time.monotonic() - began < 3
    assert device.content == PACKAGE[:kept]


def test_a_stopped_device_sends_no_request(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(honest)
    device.fetch(url, PACKAGE)
    device.stop()
    assert device.transport is not None
    with pytest.raises(SwitchedOffError), device.transport.get(url, 0, None, 5):
        pass
    assert len(server.exchanges) == 1
