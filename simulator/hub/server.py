"""The two servers around one hub: HTTPS for services, MQTT for devices."""

import asyncio
import contextlib
import errno
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from simulator.hub.certificates import Certificates, certificates_in
from simulator.hub.model.clock import Timer
from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.connection import Connection
from simulator.hub.options import HubOptions
from simulator.hub.rest.server import RestServer
from simulator.hub.state_file import StateFile
from simulator.hub.tls import read_client_certificate

_BACKLOG = 1024
_TLS_HANDSHAKE_SECONDS = 10
_TLS_END_SECONDS = 0.1


class PortTakenError(OSError):
    """A port of the options cannot be used; the message names it and its flag."""


class LoopClock:
    """The wall clock, with timers of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return time.time()

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Timer:
        return self._loop.call_later(seconds, callback)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningHub:
    """The hub, and where it listens, once both servers listen."""

    hub: Hub
    https_port: int
    mqtt_port: int
    certificates: Certificates


@contextlib.asynccontextmanager
async def serve(options: HubOptions) -> AsyncIterator[RunningHub]:
    """Run the hub in this event loop for the length of the block.

    Raises PortTakenError, or StateError for a state file that cannot be used.
    """
    certificates = certificates_in(options.certificates, options.all_names)
    context = certificates.server_context
    hub = Hub(
        clock=LoopClock(),
        owner_key=options.key,
        names=options.all_names,
        query_lag_seconds=options.query_lag_seconds,
        quota=options.quota,
        configuration_seconds=options.configuration_seconds,
    )
    hub.traffic.faults.put(options.faults)
    devices: set[Connection] = set()
    read_certificate = functools.partial(read_client_certificate, authority=certificates.authority)

    def new_connection() -> Connection:
        return Connection(hub, devices, options.max_connections, read_certificate)

    rest = RestServer(hub, new_connection, options.drop_idle_seconds)
    async with contextlib.AsyncExitStack() as stack:
        if options.state_file is not None:
            stack.enter_context(StateFile(options.state_file, hub.persistence))
        listen = functools.partial(_listening, address=options.address, context=context)
        https = listen(rest.new_protocol, options.https_port, "--https-port", stop=rest.stop)
        mqtt = listen(
            new_connection,
            options.mqtt_port,
            "--mqtt-port",
            stop=lambda: _end_all(devices),
            context=certificates.device_context,
        )
        stack.callback(hub.configurations.stop)
        https_port = await stack.enter_async_context(https)
        mqtt_port = await stack.enter_async_context(mqtt)
        yield RunningHub(
            hub=hub, https_port=https_port, mqtt_port=mqtt_port, certificates=certificates
        )


@contextlib.asynccontextmanager
async def _listening(
    factory: Callable[[], asyncio.Protocol],
    port: int,
    flag: str,
    *,
    stop: Callable[[], Awaitable[None]],
    address: str,
    context: ssl.SSLContext,
) -> AsyncIterator[int]:
    """Listen for the length of the block and yield the port. Every socket is closed after it."""
    with _naming(port, flag):
        server = await asyncio.get_running_loop().create_server(
            factory,
            address,
            port,
            ssl=context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=_TLS_HANDSHAKE_SECONDS,
        )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await stop()
        # A peer that is idle or gone does not respond to the end of TLS.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TLS_END_SECONDS):
                await server.wait_closed()
        server.abort_clients()
        await server.wait_closed()


async def _end_all(devices: set[Connection]) -> None:
    for connection in list(devices):
        connection.close("the hub is stopping")


@contextlib.contextmanager
def _naming(port: int, flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        reason = "is in use" if error.errno == errno.EADDRINUSE else "needs more rights"
        raise PortTakenError(f"port {port} {reason}; choose another with {flag}") from error
