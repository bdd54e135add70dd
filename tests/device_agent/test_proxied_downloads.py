"""Test downloads through a proxy: http, https, redirects, passwords, and what a proxy refuses."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from device_agent.package_addresses import AddressRules
from device_agent.proxies import Proxies, Proxy
from tests.device_agent.conftest import SECRET, DownloadingDevice
from tests.device_agent.forward_proxy import ForwardProxy, forward_proxy
from tests.device_agent.scripted_server import (
    PACKAGE,
    SIZE,
    ScriptedServer,
    honest,
    respond_with,
)
from tests.device_agent.test_unusual_responses import half, ranged

# Names that no DNS server knows: only the proxy can reach them.
HTTP_URL = "http://packages.invalid/fw.bin"
HTTPS_URL = "https://packages.invalid/fw.bin"
BASIC = "Basic YWRhOmh1c2g="  # ada, hush


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("packages.invalid").configure_cert(context)
    running = ScriptedServer(context)
    yield running
    running.close()


@pytest.fixture
def proxy(server: ScriptedServer, tls_server: ScriptedServer) -> Iterator[ForwardProxy]:
    routes = {
        "packages.invalid:80": ("127.0.0.1", server.port),
        "packages.invalid:443": ("127.0.0.1", tls_server.port),
    }
    with forward_proxy(routes) as running:
        yield running


def through(proxy: ForwardProxy, *, password: str | None = None) -> Proxies:
    user = None if password is None else "ada"
    found = Proxy(host="127.0.0.1", port=proxy.port, user=user, password=password)
    return Proxies(http=found, https=found)


def test_a_package_is_downloaded_over_http_through_a_proxy(
    device: DownloadingDevice, server: ScriptedServer, proxy: ForwardProxy
) -> None:
    device.proxies = through(proxy)
    server.script(half, ranged)
    device.fetch(HTTP_URL, PACKAGE)
    assert device.content == PACKAGE
    assert proxy.heads[0].startswith("GET http://packages.invalid:80/fw.bin HTTP/1.1\r\n")
    assert server.exchanges[1].header("Range") is not None


def test_a_package_is_downloaded_over_https_through_a_proxy(
    device: DownloadingDevice,
    tls_server: ScriptedServer,
    proxy: ForwardProxy,
    authority: trustme.CA,
    tmp_path: Path,
) -> None:
    device.ca_file = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(device.ca_file)
    device.proxies = through(proxy, password=SECRET)
    proxy.credentials = BASIC
    tls_server.script(half, ranged)
    device.fetch(HTTPS_URL, PACKAGE)
    assert device.content == PACKAGE
    assert proxy.heads[0].startswith("CONNECT packages.invalid:443 HTTP/1.1\r\n")
    # What is meant for the proxy does not reach the server, and the other way round.
    assert tls_server.exchanges[0].header("Proxy-Authorization") is None
    assert "Range" not in "".join(proxy.heads)


def test_a_certificate_is_checked_through_a_proxy_too(
    device: DownloadingDevice, tls_server: ScriptedServer, proxy: ForwardProxy
) -> None:
    device.proxies = through(proxy)
    device.limits = replace(device.limits, max_attempts=2)
    assert device.code(HTTPS_URL, PACKAGE) == "downloadFailed"
    assert not tls_server.exchanges


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_the_environment_names_the_proxy(
    device: DownloadingDevice,
    server: ScriptedServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, f"http://ada:{SECRET}@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxy.credentials = BASIC
    device.proxies = None
    server.script(honest)
    device.fetch(HTTP_URL, PACKAGE)
    assert device.content == PACKAGE
    device.fetch(f"http://127.0.0.1:{server.port}/other.bin")
    assert len(proxy.heads) == 1


@pytest.mark.parametrize("url", [HTTP_URL, HTTPS_URL])
@pytest.mark.parametrize("password", ["wrong", None])
def test_a_proxy_that_requires_another_password_is_named_without_it(
    device: DownloadingDevice, proxy: ForwardProxy, url: str, password: str | None
) -> None:
    proxy.credentials = BASIC
    device.proxies = through(proxy, password=password)
    failed = device.failure(url, PACKAGE)
    assert failed.code == "downloadFailed"
    assert f"the proxy 127.0.0.1:{proxy.port} requires another user" in failed.message
    assert "wrong" not in failed.message


@pytest.mark.parametrize("url", ["http://elsewhere.invalid/", "https://elsewhere.invalid/"])
def test_a_proxy_that_cannot_reach_the_server_fails_the_download(
    device: DownloadingDevice, proxy: ForwardProxy, url: str
) -> None:
    device.proxies = through(proxy)
    assert device.code(url, PACKAGE) == "downloadFailed"
    assert len(proxy.heads) == device.limits.max_attempts


def test_a_redirect_chooses_its_proxy_anew(
    device: DownloadingDevice, server: ScriptedServer, proxy: ForwardProxy
) -> None:
    device.proxies = replace(through(proxy), bypass=("127.0.0.1",))
    there = f"Location: http://127.0.0.1:{server.port}/there.bin"
    server.script(respond_with("302 Found", there), honest)
    device.fetch(HTTP_URL, PACKAGE, size=SIZE)
    assert device.content == PACKAGE
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "0x7f.1", "2130706433", "[::1]", "localhost"]
)
def test_a_private_address_is_refused_before_the_proxy_sees_it(
    device: DownloadingDevice, proxy: ForwardProxy, host: str
) -> None:
    device.proxies = through(proxy)
    device.rules = AddressRules(allow_private=False)
    assert device.code(f"http://{host}/fw.bin", PACKAGE) == "forbiddenAddress"
    assert not proxy.heads


def test_a_proxy_in_a_private_network_is_allowed(
    device: DownloadingDevice, server: ScriptedServer, proxy: ForwardProxy
) -> None:
    device.proxies = through(proxy)
    device.rules = AddressRules(allow_private=False)
    server.script(honest)
    device.fetch(HTTP_URL, PACKAGE)
    assert device.content == PACKAGE
