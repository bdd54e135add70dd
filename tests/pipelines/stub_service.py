"""Serve the responses that a test sets."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `drop` closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it was received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class StubService:
    """Return its responses in order, then the last one again and again."""

    def __init__(self, *responses: Response) -> None:
        self._responses = list(responses)
        self.calls: list[Call] = []
        self.url = ""

    def response(self, call: Call) -> Response:
        self.calls.append(call)
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]


@contextmanager
def serving(*responses: Response) -> Iterator[StubService]:
    """Run a stub on a free port for the length of a `with` block."""
    service = StubService(*responses)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(service: StubService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = service.response(Call(self.command, self.path, headers, body))
            if response.drop:
                self.close_connection = True
                return
            content = response.body
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

    return Handler
