"""The connections of one request: to addresses that were checked, shut when the time is over."""

import io
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPResponse, LineTooLong
from types import TracebackType

from device_agent.package_addresses import RequestTarget

_DIAL_SECONDS = 5.0  # for an address that is not the host's last one
_HEAD_BYTES = 64 << 10


class Connections:
    """All are closed at the end of the block."""

    def __init__(self, tls: ssl.SSLContext, silence_seconds: float, seconds: float) -> None:
        """`seconds` for the whole block; silent may a server be for `silence_seconds`."""
        self._tls = tls
        self._silence_seconds = silence_seconds
        self._opened = ExitStack()
        # Duplicates, which nobody else closes, or turns into something else as TLS does.
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.is_shut = False
        # A server that sends a byte now and then never keeps a socket silent for long.
        self._timer = threading.Timer(max(0.0, seconds), self.shut)
        self._timer.daemon = True

    def __enter__(self) -> "Connections":
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._opened.close()
            self._sockets.clear()

    def shut(self) -> None:
        """End all that goes over them, from any thread: who waits for the server waits no more."""
        with self._lock:
            self.is_shut = True
            for held in self._sockets:
                with suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)

    def asked(self, target: RequestTarget, headers: dict[str, str]) -> HTTPResponse:
        """The answer to GET, its body not read yet. Raises OSError and HTTPException."""
        connection = HTTPConnection(target.host, target.port)
        connection.response_class = _Answer
        self._opened.callback(connection.close)
        connection.sock = self._dialled(target)
        if target.is_https:
            connection.sock = self._tls.wrap_socket(connection.sock, server_hostname=target.host)
        connection.request("GET", target.path, headers={**headers, **target.headers})
        return self._opened.enter_context(connection.getresponse())

    def _dialled(self, target: RequestTarget) -> socket.socket:
        *others, last = target.addresses
        for address in others:
            with suppress(OSError):
                seconds = min(_DIAL_SECONDS, self._silence_seconds)
                return self._dial(address, target.port, seconds)
        return self._dial(last, target.port, self._silence_seconds)

    def _dial(self, address: str, port: int, seconds: float) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ExitStack() as if_failed:
            dialled = if_failed.enter_context(socket.socket(family, socket.SOCK_STREAM))
            self._hold(dialled)
            dialled.settimeout(seconds)
            dialled.connect((address, port))
            self._check_open()  # `shut` does nothing to a socket that is not connected yet
            dialled.settimeout(self._silence_seconds)
            if_failed.pop_all()
        return dialled

    def _hold(self, dialled: socket.socket) -> None:
        with self._lock:
            self._check_open()
            self._sockets.append(self._opened.enter_context(dialled.dup()))

    def _check_open(self) -> None:
        if self.is_shut:
            raise TimeoutError("the time is over")


class _Answer(HTTPResponse):
    """One whose head is short, and was not cut: http.client takes part of a head for all of it."""

    def __init__(self, sock: socket.socket, method: str | None = None) -> None:
        super().__init__(sock, method=method)
        self.fp.close()
        self.fp = self._lines = _Lines(sock.makefile("rb", buffering=0))

    def begin(self) -> None:
        super().begin()
        self._lines.left = None


class _Lines(io.BufferedReader):
    left: int | None = _HEAD_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.left is not None:
            self.left -= len(line)
            if self.left < 0:
                raise LineTooLong("the head")
            if not line.endswith(b"\n"):
                raise ConnectionError("it was cut")
        return line
