"""The HTTP side: routes requests to functions, as ASP.NET Core and the host's middleware do.

The host's own responses have an empty body: 400 for a malformed request, 404 for no route, an
unlisted verb or a disabled function, 401 for a missing or wrong key, 413 for a body over the limit,
500 for a function that failed, 503 while the host stops (azure-functions-host,
`FunctionInvocationMiddleware` and `HostAvailabilityCheckMiddleware`).
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence

from aiohttp import web

from simulator.host.bindings import AppFunction, HttpTrigger
from simulator.host.errors import PortTakenError
from simulator.host.http_messages import (
    parse_query,
    request_datum,
    request_headers,
    response_from,
)
from simulator.host.invoker import Invoker
from simulator.host.keys import KeyRing
from simulator.host.percent import decode_path
from simulator.host.routes import Route, RouteTable

logger = logging.getLogger("host")

_REASON = "This function was programmatically called via the host APIs."
# Microsoft Learn, "Azure Functions HTTP trigger", section "Limits".
MAX_BODY_BYTES = 104_857_600


class HttpServer:
    """Serves the HTTP functions on one socket."""

    def __init__(self, functions: Sequence[AppFunction], invoker: Invoker, keys: KeyRing) -> None:
        self._routes = RouteTable(
            [
                Route(trigger.template, trigger.methods, (function, trigger))
                for function in functions
                if isinstance(trigger := function.trigger, HttpTrigger)
            ]
        )
        self._invoker = invoker
        self._keys = keys
        self._runner: web.ServerRunner | None = None
        self._accepting = True

    async def start(self, address: str, port: int) -> str:
        """Listen and return the base URL. Raises PortTakenError."""
        # The function gets the body as it was sent, so nothing is decompressed.
        server = web.Server(self._respond, access_log=None, auto_decompress=False)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address, port).start()
        except OSError as error:
            await self.stop()
            raise PortTakenError(
                f"cannot listen on port {port} of {address} ({os.strerror(error.errno or 0)}): "
                "choose another with --port"
            ) from error
        bound = self._runner.addresses[0]
        host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{host}:{bound[1]}"

    async def stop_accepting(self) -> None:
        """Close the listening socket; running requests go on, new ones get 503."""
        self._accepting = False
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._accepting:
            return web.Response(status=503, headers={"Connection": "close"})
        try:
            return await self._dispatch(request)
        except web.HTTPException as error:
            return web.Response(status=error.status)
        except (ValueError, web.RequestPayloadError, ConnectionError):
            return web.Response(status=400)
        except Exception:
            logger.exception("A request failed in the host")
            return web.Response(status=500)

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        target = _request_target(request)
        raw_path, _, raw_query = target.partition("?")
        query = parse_query(raw_query) if raw_query else {}
        found = self._routes.find(request.method, remove_dot_segments(decode_path(raw_path)))
        if found is None:
            return web.Response(status=404)
        (function, trigger), route_parameters = found
        if function.disabled:
            return web.Response(status=404)
        key = request.headers.get("x-functions-key") or _key_in_query(query)
        if not self._keys.allows(trigger.auth_level, function.name, key):
            return web.Response(status=401)
        return await self._run(function, request, target, query, route_parameters)

    async def _run(
        self,
        function: AppFunction,
        request: web.BaseRequest,
        target: str,
        query: Mapping[str, str],
        route_parameters: Mapping[str, str],
    ) -> web.StreamResponse:
        headers = request_headers(request)
        value = request_datum(
            method=request.method,
            url=f"http://{headers.get('host', 'localhost')}{target}",
            headers=headers,
            query=query,
            route_parameters=route_parameters,
            body=await _read_body(request),
        )
        outcome = await self._invoker.run(function, _REASON, value)
        if not outcome.ok:
            return web.Response(status=500)
        try:
            return response_from(outcome.returned)
        except (ValueError, TypeError, AttributeError):
            logger.exception("The response of 'Functions.%s' cannot be sent", function.name)
            return web.Response(status=500)


def remove_dot_segments(path: str) -> str:
    """Resolve `.` and `..` of a decoded path (RFC 3986, section 5.2.4), as Kestrel does."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        if segment not in {".", ".."}:
            kept.append(segment)
            continue
        if segment == ".." and kept:
            kept.pop()
        if position == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


async def _read_body(request: web.BaseRequest) -> bytes:
    """Return the body that Content-Length announces; 413 before any of it is read."""
    length = request.content_length or 0
    if length > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, length)
    if not length:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await request.content.read()


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?]*", re.IGNORECASE)


def _request_target(request: web.BaseRequest) -> str:
    """Return the request's path and query as sent. Raises ValueError if they are not ASCII."""
    target = request.raw_path.partition("#")[0]
    if not target.isascii():
        raise ValueError("the request target is not ASCII")
    if not target.startswith("/"):  # the absolute form, which proxies use
        target = _ORIGIN.sub("", target, count=1)
    return target if target.startswith("/") else f"/{target}"


def _key_in_query(query: Mapping[str, str]) -> str | None:
    """Return the function key in a query, if it has one."""
    for name, value in query.items():
        if name.lower() == "code":
            return value
    return None
