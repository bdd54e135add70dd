"""Relay the connections between a device and its hub, and cut them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

DEVICE_PORT = 8883


class Relay:
    """Relays TCP from `address`:8883 to a hub, unless it is cut.

    A cut relay refuses connections instead of ending them during the TLS handshake: there the SDK's
    MQTT client leaves its socket to the garbage collector, whose warning would fail another test.
    """

    def __init__(self, address: str, hub: tuple[str, int]) -> None:
        self._address = address
        self._hub = hub
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._server: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        """Forward new connections."""
        self._server = socket.create_server((self._address, DEVICE_PORT))
        self._start(self._accept, self._server)

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        if self._server:
            # Closing alone would not wake a thread that accepts.
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut all connections and release every resource."""
        self.cut()
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                device, _ = server.accept()
                hub = socket.create_connection(self._hub)
                self._sockets += [device, hub]
                self._start(_pass_on, device, hub)
                self._start(_pass_on, hub, device)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        self._threads.append(thread)


@contextmanager
def relay(address: str, hub: tuple[str, int]) -> Iterator[Relay]:
    """Run a relay for the length of a `with` block."""
    wire = Relay(address, hub)
    try:
        yield wire
    finally:
        wire.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
