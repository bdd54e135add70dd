"""Run one host from start to stop: load the app, open its listeners, close them in order."""

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Protocol

from simulator.host.bindings import AppFunction, QueueTrigger, TimerTrigger, parse_functions
from simulator.host.console import start_logging
from simulator.host.errors import AppLoadError
from simulator.host.host_json import HostJson, QueueOptions, load_host_json
from simulator.host.http_server import HttpServer
from simulator.host.invoker import Invoker
from simulator.host.keys import KeyRing, generate_keys
from simulator.host.options import HostOptions
from simulator.host.queue_listener import QueueListener
from simulator.host.queue_messages import poison_queue_name
from simulator.host.queue_storage import QueueStorage
from simulator.host.settings import load_local_settings
from simulator.host.timer_listener import TimerListener
from simulator.host.worker import Worker

logger = logging.getLogger("host")

# Azure gives running invocations about this long when a host stops.
GRACE_SECONDS = 10.0


class Listener(Protocol):
    """A trigger's loop."""

    async def run(self) -> None:
        """Start invocations until `stop` is called. Return when all of them have ended."""

    def stop(self) -> None:
        """Start no more invocations."""


@dataclass(frozen=True, slots=True)
class StartedHost:
    """The URL, functions and generated keys of a started host."""

    url: str
    functions: tuple[AppFunction, ...]
    generated_keys: dict[str, str]
    """Name to value; empty if no keys were generated."""


class HostApplication:
    """A host; call `start`, then `stop`, on the same event loop."""

    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._running: dict[str, str] = {}
        self._listeners: dict[Listener, asyncio.Task[None]] = {}

    async def start(self) -> StartedHost:
        """Load the app and listen. Raises HostError, and leaves nothing open then."""
        app_directory = self._options.app_directory.resolve()
        load_local_settings(app_directory)
        host_json = load_host_json(app_directory)
        start_logging(self._running, host_json.log_level)
        self._worker = await Worker.load(app_directory)
        functions = self._parse(host_json)
        self._storage = QueueStorage(os.environ)
        self._invoker = Invoker(self._worker, self._running)
        generated = self._generate_missing_keys()
        keys = KeyRing((self._options.keys or generated) if self._options.enforce_keys else None)
        self._server = HttpServer(functions, self._invoker, keys)
        try:
            listeners = self._make_listeners(functions, host_json)
            url = await self._server.start(self._options.address, self._options.port)
        except BaseException:
            await self._storage.close()
            self._worker.close()
            raise
        for listener in listeners:
            self._listeners[listener] = asyncio.create_task(_listen(listener))
        return StartedHost(url, functions, generated)

    async def stop(self) -> bool:
        """Stop the listeners, let running invocations end, close everything.

        Return False if invocations still ran after the grace time. A function on a thread cannot
        be cancelled, so the process has to be ended then.
        """
        for listener in self._listeners:
            listener.stop()
        await self._server.stop_accepting()
        finished = await self._drain()
        await self._server.stop()
        await self._storage.close()
        if finished:
            self._worker.close()
        return finished

    async def _drain(self) -> bool:
        deadline = asyncio.get_running_loop().time() + GRACE_SECONDS
        tasks = list(self._listeners.values())
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        remaining = max(0.0, deadline - asyncio.get_running_loop().time())
        finished = await self._invoker.wait_until_idle(remaining)
        if not finished:
            names = ", ".join(sorted(set(self._running.values())))
            logger.warning("Stopping while these functions still run: %s", names)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return finished

    def _parse(self, host_json: HostJson) -> tuple[AppFunction, ...]:
        declared = self._worker.functions
        for function in declared:
            if function.has_retry_policy:
                raise AppLoadError(
                    f"function {function.name}: retry policies are not supported by the local host"
                )
        return parse_functions(
            [(function.name, function.id, function.raw_bindings) for function in declared],
            settings=os.environ,
            route_prefix=host_json.route_prefix,
        )

    def _generate_missing_keys(self) -> dict[str, str]:
        wanted = self._options.enforce_keys and not self._options.keys
        return generate_keys() if wanted else {}

    def _make_listeners(
        self, functions: tuple[AppFunction, ...], host_json: HostJson
    ) -> list[Listener]:
        listeners: list[Listener] = []
        for function in functions:
            if function.disabled:
                continue
            match function.trigger:
                case TimerTrigger() as trigger:
                    listeners.append(TimerListener(function, trigger, self._invoker))
                case QueueTrigger() as trigger:
                    listeners.append(self._queue_listener(function, trigger, host_json.queues))
        return listeners

    def _queue_listener(
        self, function: AppFunction, trigger: QueueTrigger, options: QueueOptions
    ) -> QueueListener:
        queue = self._storage.queue(trigger.connection, trigger.queue)
        poison_name = poison_queue_name(trigger.queue)
        poison = self._storage.queue(trigger.connection, poison_name) if poison_name else None
        return QueueListener(function, queue, self._invoker, poison=poison, options=options)


async def _listen(listener: Listener) -> None:
    """Run a listener. Log an error that ends it, which is a defect of this host."""
    try:
        await listener.run()
    except Exception:
        logger.critical("A trigger's loop has ended; restart the host", exc_info=True)
