"""The host's own endpoints below `/admin`: status, ping, functions and manual runs.

Source: azure-functions-host, `HostController` and `FunctionsController`. Except for ping they need
the master key when keys are enforced; Core Tools, and this host by default, enforce none. Drain
mode, key management and the VFS are not emulated (404).
"""

import asyncio
import importlib.metadata
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from simulator.host.bindings import AppFunction, HttpTrigger, QueueTrigger, TimerTrigger
from simulator.host.invoker import Invoker
from simulator.host.keys import KeyRing
from simulator.host.timer_listener import timer_datum
from simulator.host.worker import Datum

logger = logging.getLogger("host")

_REASON = "This function was programmatically called via the host APIs."


class Admin:
    """Answers `/admin/...`; owns the manual runs that it started."""

    def __init__(self, functions: Sequence[AppFunction], invoker: Invoker, keys: KeyRing) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._invoker = invoker
        self._keys = keys
        self._started = time.monotonic()
        self._runs: set[asyncio.Task[Any]] = set()

    def answer(self, method: str, path: str, key: str | None, body: bytes) -> web.Response:
        """The answer for a decoded path below `/admin/`."""
        segments = [segment.lower() for segment in path.split("/")[2:] if segment]
        if method in {"GET", "POST"} and segments == ["host", "ping"]:
            return web.Response(status=200)
        if not self._keys.allows_admin(key):
            return web.Response(status=401)
        return self._managed(method, segments, body)

    async def stop(self) -> None:
        """Cancel manual runs that have not ended."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _managed(self, method: str, segments: list[str], body: bytes) -> web.Response:
        match (method, segments):
            case ("GET", ["host", "status"]):
                return web.json_response(self._host_status())
            case ("GET", ["functions"]):
                return web.json_response([{"name": f.name} for f in self._functions.values()])
            case ("GET", ["functions", name, "status"]) if name in self._functions:
                return web.json_response({})  # a function in error has already ended the start
            case ("POST", ["functions", name]):
                return self._run(name, body)
            case _:
                return web.Response(status=404)

    def _host_status(self) -> Mapping[str, Any]:
        version = importlib.metadata.version("azure-functions-runtime")
        return {
            "id": "local",
            "state": "Running",
            "version": f"4.0 (local, azure-functions-runtime {version})",
            "versionDetails": f"azure-functions-runtime {version}",
            "processUptime": round((time.monotonic() - self._started) * 1000),
        }

    def _run(self, name: str, body: bytes) -> web.Response:
        try:
            request = json.loads(body)
        except ValueError:
            return web.Response(status=400)
        if not isinstance(request, dict):
            return web.Response(status=400)
        function = self._functions.get(name)
        if function is None:
            return web.Response(status=404)
        value = request.get("input")
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        run = asyncio.create_task(self._invoke(function, text))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return web.Response(status=202)

    async def _invoke(self, function: AppFunction, text: str) -> None:
        match function.trigger:
            case TimerTrigger():
                await self._invoker.run(function, _REASON, timer_datum())
            case QueueTrigger(binary=binary):
                value = Datum(text.encode(), "bytes") if binary else Datum(text, "string")
                metadata = {"QueueTrigger": Datum(text, "string")}
                await self._invoker.run(function, _REASON, value, metadata)
            case HttpTrigger():
                logger.error("'Functions.%s' has an HTTP trigger: call its URL", function.name)
