"""Run a forward proxy: CONNECT for https, whole URLs for http, and a password if wanted."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    """A proxy that forwards to the addresses of `routes`, by host and port."""

    routes: dict[str, tuple[str, int]]
    credentials: str | None = None
    """The value that it requires in `Proxy-Authorization`; None requires nothing."""
    heads: list[str] = field(default_factory=list)
    """The head of each request."""

    def __post_init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._listen)

    def close(self) -> None:
        """End every connection and thread."""
        for opened in (self._listener, *self._sockets):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for opened in (self._listener, *self._sockets):
            opened.close()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += (more := client.recv(65536))
                if not more:
                    return
            self.heads.append(head.decode("latin-1"))
            self._forward(client, self.heads[-1])
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _forward(self, client: socket.socket, head: str) -> None:
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        if self.credentials and f"proxy-authorization: {self.credentials}".lower() not in [
            line.lower() for line in lines
        ]:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        authority = target if method == "CONNECT" else urlsplit(target).netloc
        if authority not in self.routes:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        server = socket.create_connection(self.routes[authority])
        self._sockets.append(server)
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
            self._start(_pass_on, client, server)
        else:
            path = urlsplit(target)._replace(scheme="", netloc="").geturl()
            server.sendall("\r\n".join([f"GET {path} HTTP/1.1", *lines[1:]]).encode("latin-1"))
        _pass_on(server, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def forward_proxy(
    routes: dict[str, tuple[str, int]], credentials: str | None = None
) -> Iterator[ForwardProxy]:
    """Run a proxy for the length of a `with` block."""
    running = ForwardProxy(routes, credentials)
    try:
        yield running
    finally:
        running.close()
