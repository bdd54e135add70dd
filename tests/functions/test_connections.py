"""Test that connections are kept alive, and that idle ones are not reused."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from requests.adapters import HTTPAdapter

from functions import connections
from functions.hub_gateway.iot_hub import open_iot_hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[object]]]:
    """Serve HTTP; yield the URL and the connections that were accepted."""
    accepted: list[object] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            found = super().get_request()
            accepted.append(found[1])
            return found

    with Server(("127.0.0.1", 0), _Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/", accepted
        running.shutdown()


@pytest.mark.parametrize(("seconds", "count"), [(59, 1), (61, 2)])
def test_a_connection_is_reused_only_while_it_is_fresh(
    server: tuple[str, list[object]], monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    url, accepted = server
    now = [1000.0]
    monkeypatch.setattr("functions.connections.time.monotonic", lambda: now[0])
    session = connections.storage_session()
    session.post(url)
    now[0] += seconds
    assert session.post(url).status_code == 200
    assert len(accepted) == count
    session.post(url)
    assert len(accepted) == count


def test_connections_have_keep_alive_probes(
    server: tuple[str, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    connect = socket.socket.connect

    def watch(self: socket.socket, address: object) -> None:
        made.append(self.dup())
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", watch)
    connections.keep_alive(requests.Session()).post(server[0])
    (found,) = made
    with found:
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


def test_the_hubs_sessions_keep_their_retries() -> None:
    key = "SharedAccessKeyName=service;SharedAccessKey=YQ=="
    gateway = open_iot_hub(f"HostName=localhost:1;{key}", None)
    config = gateway._registry.protocol.config  # noqa: SLF001 - the SDK shows it nowhere else
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=config.retry_policy()))
    assert config.session_configuration_callback(session, config, {}, verify=True) == {
        "verify": True
    }
    adapter = session.adapters["https://"]
    assert isinstance(adapter, connections.KeepAliveAdapter)
    assert adapter.max_retries.status_forcelist == config.retry_policy().status_forcelist
    assert adapter.max_retries.other == 0
    config.session_configuration_callback(session, config, {})
    assert session.adapters["https://"] is adapter
