"""Keep connections to Azure alive, and do not reuse those that were idle for long.

A NAT or firewall drops a flow that was idle for some minutes, without telling either end. A request
on such a connection is lost: a direct method would cost its device an attempt. TCP keep-alive
probes keep the flow; a connection that was idle for longer is closed instead of reused.
"""

import socket
import time
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection

# Microsoft Learn, "Troubleshoot outbound SNAT": an idle flow ends after 4 minutes.
KEEP_ALIVE_SECONDS = 30
MAX_IDLE_SECONDS = 60.0
_PROBES = 3
_PROBE_SECONDS = 10
_BLOCK_BYTES = 32_768  # as azure-core sets it


class _FreshConnections(HTTPConnectionPool):
    """A pool that closes connections which were idle for more than MAX_IDLE_SECONDS."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)
        idle_since = getattr(connection, "idle_since", None)
        if idle_since is not None and time.monotonic() - idle_since > MAX_IDLE_SECONDS:
            connection.close()  # it connects again when it is used
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTlsConnections(_FreshConnections, HTTPSConnectionPool):
    pass


class KeepAliveAdapter(HTTPAdapter):
    """Send requests over connections with keep-alive probes."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(
            *args, **options, socket_options=_socket_options(), blocksize=_BLOCK_BYTES
        )
        self.poolmanager.pool_classes_by_scheme = {
            "http": _FreshConnections,
            "https": _FreshTlsConnections,
        }


def keep_alive(session: Session, retries: Retry | None = None) -> Session:
    """Make a session keep its connections alive; once only. `retries`: None keeps its own."""
    for scheme in ("http://", "https://"):
        before = session.adapters[scheme]
        if not isinstance(before, KeepAliveAdapter):
            session.mount(scheme, KeepAliveAdapter(max_retries=retries or before.max_retries))  # type: ignore[attr-defined]
    return session


def storage_session() -> Session:
    """Return a session for azure-core, which repeats requests itself."""
    return keep_alive(Session(), Retry(total=False, redirect=False, raise_on_status=False))


def _socket_options() -> list[tuple[int, int, int]]:
    options = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_SECONDS),  # not on every platform
        ("TCP_KEEPINTVL", _PROBE_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
