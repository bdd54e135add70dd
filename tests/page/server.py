"""Serve the app's HTTP functions on a world in memory, for a browser."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.functions.triggers import routing

KEY = "the key for reading"
COMMAND_KEY = "the key for commands"
_PREFIX = "/api"


class PageServer:
    """Responds as the host does; every route but the page's own files needs a key.

    KEY is for reading, COMMAND_KEY for commands. `commands` has the path of each that was sent.
    """

    def __init__(self) -> None:
        self.url = ""
        self.key = KEY
        self.status: int | None = None  # the host responds with it to all requests of the API
        self.loses_responses = False  # of the API: nothing is carried out
        self.loses_command_responses = False  # each command is carried out
        self.commands: list[str] = []
        self._loop = asyncio.new_event_loop()

    async def _respond(self, request: web.Request) -> web.Response:
        path = request.raw_path.removeprefix(_PREFIX)
        is_open = path.split("?")[0].startswith(("/ui", "/health"))
        if self.loses_responses and not path.startswith("/ui"):
            return web.Response(status=503)
        if self.status is not None and not path.startswith("/ui"):
            return web.Response(status=self.status, headers={"Retry-After": "1"})
        key = self.key if request.method == "GET" else COMMAND_KEY
        if not is_open and request.headers.get("x-functions-key") != key:
            return web.Response(status=401)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        sent = await asyncio.to_thread(routing.send, request.method, path, body, headers)
        if sent is None:
            return web.Response(status=404)
        if request.method != "GET":
            self.commands.append(path)
            if self.loses_command_responses and request.transport is not None:
                request.transport.abort()
        shown = {**sent.headers, "Content-Type": sent.mimetype}
        return web.Response(status=sent.status_code, headers=shown, body=sent.get_body())

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._respond)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}{_PREFIX}/ui"
        return runner

    @contextmanager
    def running(self) -> Iterator["PageServer"]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(_stop(runner), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


async def _stop(runner: web.AppRunner) -> None:
    """Stop, and end the requests whose connection was aborted."""
    await runner.cleanup()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
