"""HTTP requests in, answers out: authorization, routing and the rendering of errors."""

import logging
from collections.abc import Callable

from aiohttp import web

from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.mqtt.connection import Connection
from simulator.hub.mqtt.websocket import WEBSOCKET_PATH, serve_websocket
from simulator.hub.rest import local
from simulator.hub.rest.answers import Answer, form_a
from simulator.hub.rest.gate import operation_of, through_the_gate
from simulator.hub.rest.operations import Request
from simulator.hub.rest.routes import find, split_path

_log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept: longer than clients keep theirs, so that no client sends
into a connection that is just being closed."""
LINGER_SECONDS = 1
"""How long the rest of a refused body is still read before the connection is closed."""
STOP_SECONDS = 1
_FAILED = HubError(ErrorCode.SERVER_ERROR, "a defect of this hub; its log tells more")
_TOO_LARGE = HubError(ErrorCode.MESSAGE_TOO_LARGE, "the body is larger than 1 MB")


class RestServer:
    """The handler that aiohttp calls for every request."""

    def __init__(self, hub: Hub, new_connection: Callable[[], Connection]):
        self._hub = hub
        self._new_connection = new_connection
        self.web_server = web.Server(
            self.handle,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            access_log=None,
        )

    async def stop(self) -> None:
        """Let the requests under way end, for a moment; close every connection."""
        self.web_server.pre_shutdown()
        await self.web_server.shutdown(STOP_SECONDS)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.partition("?")[0] == WEBSOCKET_PATH:
            return await serve_websocket(request, self._new_connection())
        try:
            answer = await self._answer(request)
        except HubError as error:
            answer = form_a(error, self._hub.clock.now())
        except web.HTTPRequestEntityTooLarge:
            answer = form_a(_TOO_LARGE, self._hub.clock.now())
        except web.HTTPException:
            raise
        except Exception:  # noqa: BLE001  answered in the form clients read, and logged
            _log.exception("%s %s", request.method, request.raw_path)
            answer = form_a(_FAILED, self._hub.clock.now())
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers=answer.headers,
            content_type=answer.content_type if answer.body else None,
            charset="utf-8" if answer.body else None,
        )

    async def _answer(self, request: web.BaseRequest) -> Answer:
        segments = split_path(request.raw_path)
        if segments[:1] == (local.PREFIX,):
            return await local.local_answer(self._hub, request, segments)
        route, ids = find(request.method, segments)
        self._hub.access.check_service(
            request.headers.get("Authorization"), segments, route.permission, self._hub.clock.now()
        )
        body = await request.read() if request.body_exists else b""
        asked = Request(ids=ids, query=request.query, headers=request.headers, body=body)
        return await through_the_gate(
            self._hub,
            operation_of(request.method, segments),
            asked,
            lambda: route.operation(self._hub, asked),
        )
