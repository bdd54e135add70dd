"""Test which servers a device trusts."""

import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from device_agent.errors import SwitchedOffError
from tests.device_agent.conftest import DownloadingDevice
from tests.device_agent.scripted_server import (
    PACKAGE,
    SIZE,
    Exchange,
    ScriptedServer,
    honest,
    respond_with,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(device: DownloadingDevice, authority: trustme.CA, tmp_path: Path) -> DownloadingDevice:
    device.ca_file = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(device.ca_file)
    return device


def _tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[ScriptedServer]:
    running = ScriptedServer(_tls(authority, "localhost"))
    running.script(honest)
    yield running
    running.close()


def _url(server: ScriptedServer, host: str = "localhost") -> str:
    return f"https://{host}:{server.port}/fw.bin"


def test_a_trusted_certificate_is_accepted(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    trusting.fetch(_url(server), PACKAGE)
    assert trusting.content == PACKAGE


def test_a_certificate_of_an_unknown_authority_is_refused(
    device: DownloadingDevice, server: ScriptedServer
) -> None:
    device.limits = replace(device.limits, max_attempts=2)
    assert device.code(_url(server), PACKAGE) == "downloadFailed"
    assert not server.exchanges


def test_a_certificate_for_another_name_is_refused(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    trusting.limits = replace(trusting.limits, max_attempts=2)
    assert trusting.code(_url(server, "127.0.0.1"), PACKAGE) == "downloadFailed"
    assert not server.exchanges


def test_a_redirect_to_plain_http_is_refused(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    server.script(respond_with("302 Found", "Location: http://127.0.0.1/fw.bin"))
    assert trusting.code(_url(server), PACKAGE) == "forbiddenAddress"


def test_plain_text_instead_of_tls_is_refused(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    server.tls = None
    server.script(honest)
    trusting.limits = replace(trusting.limits, max_attempts=2, max_seconds=2)
    assert trusting.code(_url(server), PACKAGE) in ("downloadFailed", "tooSlow")


def _half_and_silence(exchange: Exchange) -> None:
    exchange.say("200 OK", f"Content-Length: {SIZE}", "Connection: close")
    exchange.send(PACKAGE[: SIZE // 2])
    exchange.wait()


def test_a_timeout_during_tls_keeps_only_decrypted_bytes(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    """Keep only decrypted bytes: a socket that is shut must not yield encrypted ones."""
    trusting.limits = replace(trusting.limits, max_seconds=0.5)
    server.script(_half_and_silence)
    began = time.monotonic()
    assert trusting.code(_url(server), PACKAGE) == "tooSlow"
    assert time.monotonic() - began < 3
    assert trusting.content == PACKAGE[: SIZE // 2]


def test_a_device_can_be_stopped_during_a_handshake(
    trusting: DownloadingDevice, server: ScriptedServer
) -> None:
    server.tls = None  # reads, and says nothing
    url = _url(server)
    stopper = threading.Timer(0.3, trusting.stop)
    began = time.monotonic()
    stopper.start()
    with pytest.raises(SwitchedOffError):
        trusting.fetch(url, PACKAGE)
    stopper.join()
    assert time.monotonic() - began < 3
