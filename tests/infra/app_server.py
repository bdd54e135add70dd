"""Serve an app of which each package is healthy or not."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# The status of each request, in order; the last one is repeated.
type Statuses = tuple[int, ...]
# Stand for a status: the connection is closed; a sign-in page, or JSON of something else, responds.
CLOSED, PAGE, OTHER = 0, 1, 2
HEALTHY_BODY = b'{"parts": {"hub": "ok"}}'
_BODIES = {200: HEALTHY_BODY, PAGE: b"<html>Sign in</html>", OTHER: b'["up"]'}
KEY = "key-of-the-test"


@dataclass
class DeployedApp:
    """Respond as the package that is deployed: `statuses` has an entry for the name of each."""

    statuses: Mapping[str, Statuses]
    package: str = "none"  # the name of the deployed package
    refused: frozenset[str] = frozenset()  # packages that Azure does not take
    uploads: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)  # sent to /health/ready
    url: str = ""
    _requests: int = 0

    def upload(self, package: Path) -> bool:
        name = package.stem
        self.uploads.append(name)
        if name in self.refused:
            return False
        self.package, self._requests = name, 0
        return True

    def respond(self, path: str, key: str | None) -> int:
        if path == "/api/elsewhere":
            self.keys.add(f"redirected: {key}")
        if path != "/api/health/ready":
            return 200
        self.keys.add(key)
        statuses = self.statuses[self.package]
        self._requests += 1
        return statuses[min(self._requests, len(statuses)) - 1]


@contextmanager
def serving(app: DeployedApp) -> Iterator[DeployedApp]:
    """Serve the app on a free port for the length of a `with` block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = app.respond(self.path, self.headers.get("x-functions-key"))
            if status == CLOSED:
                self.close_connection = True
                return
            body = _BODIES.get(status, b'{"detail": "hub: It cannot be called."}')
            self.send_response(200 if status in {PAGE, OTHER} else status)
            self.send_header("Location", f"{app.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app.url = f"http://127.0.0.1:{server.server_port}/api"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
