"""Run synchronous functions on threads of the app's own.

Azure's Python worker runs them on CPUs + 4 threads. It takes PYTHON_THREADPOOL_THREAD_COUNT for
another number, but on Flex Consumption with Python 3.13 it makes the threads before it has the
app's settings. Few threads are too few: a batch whose devices respond slowly holds one for half a
minute.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import azure.functions as func

# Messages of one queue that an instance takes at once: `batchSize` + `newBatchThreshold` in
# host.json.
MAX_MESSAGES = 24
# Requests at once. The template lets an instance take 16 (`httpConcurrency`).
MAX_REQUESTS = 32


class OwnThreads:
    """A number of threads for one kind of work; each starts when it is first needed."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, name)

    async def run[**P, R](
        self, context: func.Context, work: Callable[P, R], *args: P.args, **named: P.kwargs
    ) -> R:
        """Call `work` on a thread; return its result, or raise its error.

        What it logs belongs to the invocation of `context`, as on a thread of the worker.
        """
        variables, storage = contextvars.copy_context(), cast("Any", context.thread_local_storage)

        def call() -> R:
            storage.invocation_id = context.invocation_id
            try:
                return variables.run(work, *args, **named)
            finally:
                storage.invocation_id = None

        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
