"""Test which addresses a package may come from, in URLs and in redirects."""

import socket
from typing import Any

import pytest

from device_agent.errors import RefusedError, UnavailableError, UpdateFailedError
from device_agent.package_addresses import AddressRules
from tests.device_agent.conftest import SECRET, DownloadingDevice
from tests.device_agent.scripted_server import (
    PACKAGE,
    Exchange,
    ScriptedServer,
    honest,
    respond_with,
)

PUBLIC_ONLY = AddressRules(allow_private=False)
PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "localhost"),
    *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "0"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[fe80::1]"),
    *("[fc00::1]", "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]"),
    *("[2002:7f00:1::]", "[2001:db8::1]", "[::ffff:0:7f00:1]", "[::ffff:224.0.0.1]"),
    "１２７.0.0.1",  # noqa: RUF001 - digits of another width, which a name's preparation narrows
]
PUBLIC = ["8.8.8.8", "[2a00:1450:4001::1]", "[64:ff9b::808:808]", "[::ffff:8.8.8.8]", "134744072"]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(RefusedError) as failed:
        PUBLIC_ONLY.resolve(f"https://{host}/fw.bin")
    assert failed.value.code == "forbiddenAddress"


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_address_is_allowed(host: str) -> None:
    assert PUBLIC_ONLY.resolve(f"https://{host}/fw.bin").addresses


def _resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[Any]:
    requested: list[Any] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        requested.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr("device_agent.package_addresses.socket.getaddrinfo", look_up)
    return requested


def test_a_name_that_also_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolving(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(RefusedError, match="private network"):
        PUBLIC_ONLY.resolve("https://packages.example/fw.bin")


def test_a_name_is_resolved_once_and_its_addresses_are_tried_in_order(
    device: DownloadingDevice, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = _resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
    server.script(honest)
    device.fetch(f"http://packages.example:{server.port}/fw.bin", PACKAGE)
    assert device.content == PACKAGE
    assert requested == ["packages.example"]
    assert server.exchanges[0].header("Host") == f"packages.example:{server.port}"


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/fw.bin", "gopher://x/", "javascript:1", "data:,x"),
        *("https:///etc/passwd", "unix:/run/docker.sock"),
    ],
)
def test_a_redirect_to_another_scheme_is_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str, location: str
) -> None:
    server.script(respond_with("302 Found", f"Location: {location}"))
    assert device.code(url, PACKAGE) == "forbiddenAddress"
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(
    "location",
    ["http://[", "http://x:port/", "http://x:99999/", "http://a..b/", f"http://{'a.' * 999}/"],
)
def test_a_redirect_to_an_invalid_url_is_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str, location: str
) -> None:
    server.script(respond_with("302 Found", f"Location: {location}"))
    assert device.code(url, PACKAGE) == "badPackageUri"


def test_a_redirect_to_an_unknown_host_fails_the_download(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(respond_with("302 Found", f"Location: http://no-such-host.invalid/?sig={SECRET}"))
    assert device.code(url, PACKAGE) == "downloadFailed"


def test_a_redirect_to_a_private_address_is_refused(
    device: DownloadingDevice,
    server: ScriptedServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Count the first server as public, so that it can name another."""
    device.rules = PUBLIC_ONLY
    monkeypatch.setattr(
        "device_agent.package_addresses._is_public", lambda address: address == "127.0.0.1"
    )
    server.script(respond_with("307 Onward", "Location: http://0/latest/meta-data"))
    assert device.code(url, PACKAGE) == "forbiddenAddress"
    assert len(server.exchanges) == device.limits.max_refusals


def test_https_does_not_lead_to_http() -> None:
    with pytest.raises(UpdateFailedError) as failed:
        AddressRules().resolve("http://127.0.0.1/fw.bin", after_https=True)
    assert failed.value.code == "forbiddenAddress"
    with pytest.raises(UpdateFailedError) as failed:
        AddressRules(allow_plain_http=False).resolve("http://127.0.0.1/fw.bin")
    assert failed.value.code == "forbiddenAddress"


def test_endless_redirects_are_refused(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.script(respond_with("302 Found", "Location: /again"))
    assert device.code(url, PACKAGE) == "tooManyRedirects"
    assert len(server.exchanges) == 6 * device.limits.max_refusals


@pytest.mark.parametrize("status", ["301 A", "302 B", "303 C", "307 D", "308 E"])
def test_a_redirect_is_followed_without_what_was_meant_for_the_first_server(
    device: DownloadingDevice, server: ScriptedServer, url: str, status: str
) -> None:
    there = f"Location: http://localhost:{server.port}/caf\xe9 1?a=b c"
    server.script(respond_with(status, there), honest)
    device.fetch(url, PACKAGE)
    assert device.content == PACKAGE
    requested = server.exchanges[1]
    assert requested.head.startswith("GET /caf%E9%201?a=b%20c HTTP/1.1\r\n")
    assert requested.header("Authorization") is None
    assert SECRET not in requested.head


@pytest.mark.parametrize(
    "path", ["/ü.bin", "/a b", "/a%20b", "/x?y=ü z", "/\x01\x7f", "/%zz", "/\N{SNOWMAN}#part"]
)
def test_an_address_with_signs_that_http_does_not_know(
    device: DownloadingDevice, server: ScriptedServer, path: str
) -> None:
    server.script(honest)
    device.fetch(f"http://ü:ß\N{SNOWMAN}@127.0.0.1:{server.port}{path}", PACKAGE)
    assert device.content == PACKAGE


@pytest.mark.parametrize("url", ["test.com", "", "//x/y", "/fw.bin", "http://", "http://?sig=hush"])
def test_what_is_no_web_address(device: DownloadingDevice, url: str) -> None:
    assert device.code(url, PACKAGE) == "forbiddenAddress"


def test_a_server_that_is_not_there(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    server.close()
    assert device.code(url, PACKAGE) == "downloadFailed"


def test_an_unknown_host_may_be_known_later() -> None:
    with pytest.raises(UnavailableError):
        AddressRules().resolve("http://no-such-host.invalid/")


def test_a_redirect_keeps_the_range(
    device: DownloadingDevice, server: ScriptedServer, url: str
) -> None:
    def half(exchange: Exchange) -> None:
        exchange.say("200 OK", f"Content-Length: {len(PACKAGE)}", 'ETag: "one"')
        exchange.send(PACKAGE[:60_000])

    def rest(exchange: Exchange) -> None:
        last = len(PACKAGE) - 1
        exchange.say(
            "206 Part",
            f"Content-Range: bytes {exchange.offset}-{last}/{len(PACKAGE)}",
            f"Content-Length: {len(PACKAGE) - exchange.offset}",
        )
        exchange.send(PACKAGE[exchange.offset :])

    server.script(half, respond_with("302 Found", "Location: /there"), rest)
    device.fetch(url, PACKAGE)
    assert server.exchanges[2].header("If-Range") == '"one"'
    assert server.sent == len(PACKAGE)
