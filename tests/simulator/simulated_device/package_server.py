"""Serve one package with ranges and entity tags, and count what is sent."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "c2VjcmV0"


class PackageServer(ThreadingHTTPServer):
    """Serves `package` at every path."""

    daemon_threads = True

    def __init__(self, package: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.package = package
        self.sent = 0
        self.offsets: list[int] = []
        """The offset of each request; a lost connection loses a part of what was sent."""
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fw.bin?sig={SECRET}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.package).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: PackageServer

    def do_GET(self) -> None:
        package, begins = self.server.package, 0
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if self.server.status != 200:
            self.send_response(self.server.status)
            package = b""
        elif found and int(found[1]) < len(package):
            begins = int(found[1])
            self.send_response(206)
            last = len(package) - 1
            self.send_header("Content-Range", f"bytes {begins}-{last}/{len(package)}")
        else:
            self.send_response(200)
        self.server.offsets.append(begins)
        self.send_header("Content-Length", str(len(package) - begins))
        self.send_header("ETag", f'"{self.server.sha256}"')
        self.end_headers()
        for start in range(begins, len(package), 65536):
            chunk = package[start : start + 65536]
            self.wfile.write(chunk)
            self.server.sent += len(chunk)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True


@contextmanager
def package_server(package: bytes) -> Iterator[PackageServer]:
    """Run a server for the length of a `with` block."""
    with PackageServer(package) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
