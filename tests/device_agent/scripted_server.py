"""Serve scripted responses on a plain socket."""

import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, repeat

_REQUEST_BYTES = 64 << 10

PACKAGE = random.Random(7).randbytes(100_000)  # noqa: S311
SIZE = len(PACKAGE)
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(slots=True)
class Exchange:
    """One request, and the connection to respond on."""

    socket: socket.socket
    is_over: threading.Event
    head: str
    sent: int = 0

    def header(self, name: str) -> str | None:
        """Return a header of the request."""
        for line in self.head.split("\r\n")[1:]:
            found, _, value = line.partition(": ")
            if found.lower() == name.lower():
                return value
        return None

    @property
    def offset(self) -> int:
        """The start of the requested range."""
        value = self.header("Range")
        return int(value.removeprefix("bytes=").removesuffix("-")) if value else 0

    def say(self, status: str, *headers: str) -> None:
        """Send a status line and headers."""
        self._send("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1"))

    def send(self, body: bytes) -> None:
        """Send a part of the body and count it."""
        self._send(body)
        self.sent += len(body)

    def send_on(self, parts: Iterable[bytes], pause: float = 0.0) -> None:
        """Send parts until they end or the test is over."""
        for part in parts:
            if self.is_over.wait(pause):
                return
            self.send(part)

    def wait(self) -> None:
        """Send nothing until the test is over."""
        self.is_over.wait()

    def _send(self, text: bytes) -> None:
        self.socket.sendall(text)


type Responder = Callable[[Exchange], None]


@dataclass
class ScriptedServer:
    """A server that responds to each request as scripted, and repeats the last response."""

    tls: ssl.SSLContext | None = None
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._responders: Iterator[Responder] = iter(())
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._listen)

    @property
    def sent(self) -> int:
        """The bytes of all bodies."""
        return sum(exchange.sent for exchange in self.exchanges)

    def script(self, *responders: Responder) -> None:
        """Set the responses to the next requests."""
        self._responders = chain(responders, repeat(responders[-1]))

    def close(self) -> None:
        """End every thread."""
        self._is_over.set()
        for opened in (self._listener, *self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._is_over.is_set():
            with suppress(OSError):
                accepted, _ = self._listener.accept()
                self._sockets.append(accepted)
                self._start(self._serve, accepted)

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError), accepted:
            taken = self.tls.wrap_socket(accepted, server_side=True) if self.tls else accepted
            with taken:
                self._respond(taken)

    def _respond(self, taken: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += (more := taken.recv(_REQUEST_BYTES))
            if not more:
                return
        exchange = Exchange(taken, self._is_over, head.decode("latin-1"))
        self.exchanges.append(exchange)
        next(self._responders)(exchange)


def respond_with(status: str, *headers: str, body: bytes = b"") -> Responder:
    """Return a responder that sends this and closes."""

    def say(exchange: Exchange) -> None:
        exchange.say(status, *headers)
        exchange.send(body)

    return say


def ok(*headers: str, body: bytes = PACKAGE) -> Responder:
    """Return a responder that sends the package with headers that may be wrong."""
    return respond_with("200 OK", *headers, body=body)


def honest(exchange: Exchange) -> None:
    """Send the package from its beginning."""
    exchange.say("200 OK", f"Content-Length: {SIZE}")
    exchange.send(PACKAGE)


def chunked(*parts: bytes) -> bytes:
    """Encode parts as chunks; an empty part ends the body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def trickle(head: bytes, part: bytes) -> Responder:
    """Return a responder that sends a part every 20 ms without end."""

    def say(exchange: Exchange) -> None:
        exchange.send(head)
        exchange.send_on(repeat(part), pause=0.02)

    return say
