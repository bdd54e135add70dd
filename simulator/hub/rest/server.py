"""Serve the REST API over HTTP: authorization, routing and the rendering of errors."""

import logging
from collections.abc import Callable

from aiohttp import web

from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.connection import Connection
from simulator.hub.mqtt.websocket import WEBSOCKET_PATH, serve_websocket
from simulator.hub.rest import local
from simulator.hub.rest.admission import admit_request
from simulator.hub.rest.idle_connections import NEVER_CLOSED_SECONDS, dropping
from simulator.hub.rest.operations import Request
from simulator.hub.rest.responses import Response, form_a
from simulator.hub.rest.routes import find, split_path

_log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients keep theirs, so that no client sends
into a connection that is being closed."""
LINGER_SECONDS = 1
"""How long the rest of a refused body is read before the connection is closed."""
STOP_SECONDS = 1
_FAILED = HubError(ErrorCode.SERVER_ERROR, "unexpected error of the local hub; see its log")
_TOO_LARGE = HubError(ErrorCode.MESSAGE_TOO_LARGE, "the body is larger than 1 MB")


class RestServer:
    """The handler that aiohttp calls for every request."""

    def __init__(
        self,
        hub: Hub,
        new_connection: Callable[[], Connection],
        drop_idle_seconds: float | None = None,
    ) -> None:
        """Drop connections without a request for `drop_idle_seconds`; None: close idle ones."""
        self._hub = hub
        self._new_connection = new_connection
        self.web_server = web.Server(
            self.handle,
            keepalive_timeout=(
                KEEP_ALIVE_SECONDS if drop_idle_seconds is None else NEVER_CLOSED_SECONDS
            ),
            lingering_time=LINGER_SECONDS,
            access_log=None,
        )
        self.new_protocol = dropping(self.web_server, drop_idle_seconds)

    async def stop(self) -> None:
        """Wait shortly for requests in progress, then close every connection."""
        self.web_server.pre_shutdown()
        await self.web_server.shutdown(STOP_SECONDS)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.partition("?")[0] == WEBSOCKET_PATH:
            return await serve_websocket(request, self._new_connection())
        try:
            response = await self._respond(request)
        except HubError as error:
            response = form_a(error, self._hub.clock.now())
        except web.HTTPRequestEntityTooLarge:
            response = form_a(_TOO_LARGE, self._hub.clock.now())
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001  rendered in the form that clients read, and logged
            _log.exception("%s %s", request.method, request.raw_path)
            response = form_a(_FAILED, self._hub.clock.now())
        return web.Response(
            status=response.status,
            body=response.body,
            headers=response.headers,
            content_type=response.content_type if response.body else None,
            charset="utf-8" if response.body else None,
        )

    async def _respond(self, request: web.BaseRequest) -> Response:
        segments = split_path(request.raw_path)
        if segments[:1] == (local.PREFIX,):
            return await local.local_response(self._hub, request, segments)
        route, ids = find(request.method, segments)
        self._hub.access.check_service(
            request.headers.get("Authorization"), segments, route.permission, self._hub.clock.now()
        )
        body = await request.read() if request.body_exists else b""
        parsed = Request(ids=ids, query=request.query, headers=request.headers, body=body)
        return await admit_request(
            self._hub, route.operation, parsed, lambda: route.handler(self._hub, parsed)
        )
