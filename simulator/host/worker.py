"""Run the app through azure-functions-runtime, Microsoft's Python worker library.

A process holds one app: the library keeps its registry, its thread pool and the imported
`function_app` in module globals. Everything is called on one running event loop, through the
library's `native_invocation`, which needs no protobuf objects.
"""

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime
from azure_functions_runtime.bindings.context import _invocation_id_local
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.native_invocation import invocation_request_native

from simulator.host.errors import AppLoadError

__all__ = ["Datum", "DeclaredFunction", "Outcome", "Worker", "current_invocation_id"]

_OUT, _INOUT, _UNDEFINED = 1, 2, 0
_SUCCESS, _FAILURE = 1, 0
_SCRIPT = "function_app.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredFunction:
    """A function as the library indexed it."""

    name: str
    id: str
    raw_bindings: tuple[str, ...]
    """JSON texts."""
    has_retry_policy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an invocation ended."""

    ok: bool
    returned: Any = None
    """The Datum of the function's return value; None if it returned nothing."""
    error: str = ""
    stack_trace: str = ""


class Worker:
    """A loaded app."""

    def __init__(self, functions: tuple[DeclaredFunction, ...]) -> None:
        self.functions = functions

    @classmethod
    async def load(cls, app_directory: Path) -> "Worker":
        """Import and index the app's function_app.py. Raises AppLoadError, and only that."""
        if not (app_directory / _SCRIPT).is_file():
            raise AppLoadError(f"no {_SCRIPT} in {app_directory}")
        _enter_app_directory(app_directory)
        try:
            response = await runtime.worker_init_request(_init_request(app_directory))
        except SystemExit as error:
            raise AppLoadError(f"{_SCRIPT} ended the process with {error.code!r}") from error
        if response.result.status != _SUCCESS:
            failure = response.result.exception
            raise AppLoadError(failure.message, failure.stack_trace)
        runtime.start_threadpool_executor()
        metadata = await runtime.functions_metadata_request(None)
        return cls(
            tuple(_read_declaration(item) for item in metadata.function_metadata_results or ())
        )

    async def invoke(
        self,
        function_id: str,
        invocation_id: str,
        inputs: Sequence[tuple[str, Any]],
        metadata: Mapping[str, Any],
    ) -> Outcome:
        """Run one function with its input Datums; a failure is an Outcome, not an exception."""
        trace_parent = trace_state = ""
        try:
            ok, returned, _outputs, error, stack_trace = await invocation_request_native(
                invocation_id, function_id, inputs, metadata, trace_parent, trace_state
            )
        except BaseException as raised:
            if _is_meant_for_the_host(raised):
                raise
            return Outcome(ok=False, error=repr(raised), stack_trace=traceback.format_exc())
        return Outcome(
            ok=ok,
            returned=returned,
            error=error or "",
            stack_trace=stack_trace or "",
        )

    def close(self) -> None:
        """End the thread pool; wait for synchronous functions that still run."""
        runtime.stop_threadpool_executor()


def current_invocation_id() -> str | None:
    """Return the invocation of the calling code: of its task, pool thread or marked own thread."""
    found: str | None = runtime.invocation_id_cv.get()
    # On the loop's own thread the library leaves the id of the last async function behind.
    if found is None and threading.current_thread() is not threading.main_thread():
        found = getattr(_invocation_id_local, "invocation_id", None)
    return found


def quiet_library_logs() -> None:
    """Drop the library's records below WARNING, and of failures, which the host logs itself."""
    library = logging.getLogger("azure.functions")
    library.setLevel(logging.WARNING)
    library.addFilter(lambda record: record.msg != "Native invocation failed")


def _is_meant_for_the_host(raised: BaseException) -> bool:
    """Return whether the host's own task was cancelled; a function must not end the host."""
    task = asyncio.current_task()
    cancelled = task is not None and task.cancelling() > 0
    return isinstance(raised, asyncio.CancelledError) and cancelled


def _enter_app_directory(app_directory: Path) -> None:
    """Change to the app's folder and import from it, as Azure does; the library does neither."""
    sys.path.insert(0, str(app_directory))
    os.chdir(app_directory)


class _Record(SimpleNamespace):
    """Stands in for every message class: the library only passes keyword arguments."""


class _BindingInfo(_Record):
    out, inout, undefined = _OUT, _INOUT, _UNDEFINED


class _StatusResult(_Record):
    Success, Failure = _SUCCESS, _FAILURE

    def __init__(self, status: int, exception: Any = None) -> None:
        super().__init__(status=status, exception=exception)


class _RpcFunctionMetadata(_Record):
    pass


_MESSAGES = SimpleNamespace(
    BindingInfo=_BindingInfo,
    StatusResult=_StatusResult,
    RpcFunctionMetadata=_RpcFunctionMetadata,
    RpcRetryOptions=_Record,
    RpcException=_Record,
    WorkerMetadata=_Record,
    WorkerInitResponse=_Record,
    FunctionMetadataResponse=_Record,
)


def _init_request(app_directory: Path) -> SimpleNamespace:
    init = SimpleNamespace(capabilities={}, function_app_directory=str(app_directory))
    return SimpleNamespace(
        properties={"host": "127.0.0.1", "protos": _MESSAGES},
        request=SimpleNamespace(worker_init_request=init),
    )


def _read_declaration(item: Any) -> DeclaredFunction:
    return DeclaredFunction(
        name=item.name,
        id=item.function_id,
        raw_bindings=tuple(item.raw_bindings),
        has_retry_policy=item.retry_options is not None,
    )
