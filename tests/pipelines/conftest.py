"""Serve the API of a world in memory over HTTP, for commands in processes of their own."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.fleet.conftest import API, Cloud, cloud
from tests.pipelines.runner import Runner

__all__ = ["cloud"]


@pytest.fixture
def address(cloud: Cloud) -> Iterator[str]:
    """Return the URL of the API; a request that raises loses its connection."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def runner(address: str, tmp_path: Path) -> Runner:
    return Runner(tmp_path / "machine", FLEET_TEST_API=address)


def ticking(cloud: Cloud, ticks: int = 30) -> None:
    """Let some minutes pass before each request that waits."""

    def advance(request: httpx.Request) -> None:
        if "waitSeconds" in str(request.url):
            cloud.world.ticks(ticks)

    cloud.between = advance


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = API + self.path.removeprefix("/api")
            request = httpx.Request(self.command, url, headers=dict(self.headers), content=content)
            try:
                response = cloud.handle(request)
            except httpx.TransportError:
                self.close_connection = True
                return
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                if name.lower() not in {"content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    return Handler
