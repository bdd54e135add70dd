"""Open the connections of one download, to checked addresses, and close them when time runs out."""

import io
import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPResponse, LineTooLong, parse_headers
from types import TracebackType

from device_agent.package_addresses import RequestTarget
from device_agent.proxies import Proxy

# For an address that is not the host's last one, so that the next one is tried soon.
_CONNECT_SECONDS = 5.0
# A response's status line and headers; servers send a few hundred bytes.
_MAX_HEAD_BYTES = 64 << 10
# All but 101, which would change the protocol and was not requested (RFC 9110, 15.2).
_INFORMATIONAL_STATUSES = frozenset(range(100, 200)) - {101}


class Connections:
    """A context manager that closes all its connections at its end."""

    def __init__(self, tls: ssl.SSLContext, silence_seconds: float, seconds: float) -> None:
        """Limit the whole block to `seconds`, and a server's silence to `silence_seconds`."""
        self._tls = tls
        self._silence_seconds = silence_seconds
        self._opened = ExitStack()
        # Duplicates, which nothing else closes or wraps in TLS.
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.is_shut = False
        # A server that sends one byte now and then never exceeds the limit of silence.
        self._timer = threading.Timer(max(0.0, seconds), self.shut)
        self._timer.daemon = True

    def __enter__(self) -> "Connections":
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._opened.close()
            self._sockets.clear()

    def shut(self) -> None:
        """Shut all connections down, so that no read waits any longer; call from any thread."""
        with self._lock:
            self.is_shut = True
            for opened in self._sockets:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

    def get(self, target: RequestTarget, headers: dict[str, str]) -> HTTPResponse:
        """Send a GET and return the response, its body unread. Raises OSError, HTTPException."""
        connection = HTTPConnection(target.host, target.port)
        connection.response_class = _BoundedResponse
        self._opened.callback(connection.close)
        connection.sock = self._connect(target)
        path, headers = target.path, {**headers, **target.headers}
        if target.proxy is not None and target.is_https:
            _open_tunnel(connection.sock, target, target.proxy)
        elif target.proxy is not None:
            path, headers = f"http://{target.authority}{path}", {**headers, **target.proxy.headers}
        if target.is_https:
            connection.sock = self._tls.wrap_socket(connection.sock, server_hostname=target.host)
        connection.request("GET", path, headers=headers)
        return self._opened.enter_context(connection.getresponse())

    def _connect(self, target: RequestTarget) -> socket.socket:
        *others, last = target.addresses
        port = target.proxy.port if target.proxy else target.port
        for address in others:
            with suppress(OSError):
                seconds = min(_CONNECT_SECONDS, self._silence_seconds)
                return self._connect_to(address, port, seconds)
        return self._connect_to(last, port, self._silence_seconds)

    def _connect_to(self, address: str, port: int, seconds: float) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ExitStack() as if_failed:
            opened = if_failed.enter_context(socket.socket(family, socket.SOCK_STREAM))
            self._register(opened)
            opened.settimeout(seconds)
            opened.connect((address, port))
            self._check_open()  # `shut` does nothing to a socket that is not connected yet
            opened.settimeout(self._silence_seconds)
            if_failed.pop_all()
        return opened

    def _register(self, opened: socket.socket) -> None:
        with self._lock:
            self._check_open()
            self._sockets.append(self._opened.enter_context(opened.dup()))

    def _check_open(self) -> None:
        if self.is_shut:
            raise TimeoutError("the download's time is over")


def _open_tunnel(opened: socket.socket, target: RequestTarget, proxy: Proxy) -> None:
    """Let the proxy connect to the target (RFC 9110, 9.3.6). Raises OSError, HTTPException."""
    headers = {"Host": target.authority, **proxy.headers}
    lines = [f"CONNECT {target.authority} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    opened.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    with _BoundedResponse(opened, method="CONNECT") as response:
        response.begin()
        if not 200 <= response.status < 300:  # noqa: PLR2004
            raise ConnectionError(explain_proxy_status(response.status, proxy))


def explain_proxy_status(status: int, proxy: Proxy) -> str:
    """Return why a proxy does not forward a request, and what to check."""
    if status == 407:  # noqa: PLR2004
        return f"the proxy {proxy} requires another user and password (status 407)"
    return f"the proxy {proxy} does not open a connection (status {status})"


class _BoundedResponse(HTTPResponse):
    """A response whose head has a maximum size and must be complete.

    http.client accepts a head that was cut off.
    """

    def __init__(self, sock: socket.socket, method: str | None = None) -> None:
        super().__init__(sock, method=method)
        self.fp.close()
        self.fp = self._reader = _HeadReader(sock.makefile("rb", buffering=0))

    def _read_status(self) -> tuple[str, int, str]:
        """Skip informational responses (1xx); http.client itself skips 100 only."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        while status in _INFORMATIONAL_STATUSES:
            parse_headers(self.fp)
            version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, status, reason

    def begin(self) -> None:
        super().begin()
        self._reader.head_bytes_left = None


class _HeadReader(io.BufferedReader):
    head_bytes_left: int | None = _MAX_HEAD_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.head_bytes_left is not None:
            self.head_bytes_left -= len(line)
            if self.head_bytes_left < 0:
                raise LineTooLong("the head")
            if not line.endswith(b"\n"):
                raise ConnectionError("the response's head was cut off")
        return line
