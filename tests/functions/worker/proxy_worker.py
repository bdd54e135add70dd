"""Drive the worker's library as Azure's proxy worker does on Flex Consumption.

A placeholder process is initialised without the app, and has its threads. Then the environment is
reloaded with the app's settings and folder, the functions are loaded, and invoked. Each message
crosses a wire, as bytes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from simulator.host.worker import Datum, DeclaredFunction, Outcome
from tests.functions.worker.rpc_messages import make_messages

PROTOS = make_messages()


class ProxyWorker:
    """An app that the proxy worker has loaded. It has the interface of the local host's worker."""

    def __init__(self, functions: tuple[DeclaredFunction, ...]) -> None:
        self.functions = functions

    @classmethod
    async def load(
        cls, app_directory: Path, placeholder: Path, settings: Mapping[str, str]
    ) -> "ProxyWorker":
        started = PROTOS.WorkerInitRequest(
            host_version="4.1038.0", function_app_directory=str(placeholder)
        )
        await _call(runtime.worker_init_request, worker_init_request=started)
        runtime.start_threadpool_executor()
        reload = PROTOS.FunctionEnvironmentReloadRequest(
            environment_variables=settings, function_app_directory=str(app_directory)
        )
        await _call(
            runtime.function_environment_reload_request, function_environment_reload_request=reload
        )
        if dict(os.environ) != dict(settings):
            raise RuntimeError("the environment is not the one of the app's settings")
        indexed = await _call(runtime.functions_metadata_request)
        for item in indexed.function_metadata_results:
            load = PROTOS.FunctionLoadRequest(function_id=item.function_id)
            await _call(runtime.function_load_request, function_load_request=load)
        return cls(tuple(map(_declaration, indexed.function_metadata_results)))

    async def invoke(
        self,
        function_id: str,
        invocation_id: str,
        inputs: Sequence[tuple[str, Any]],
        metadata: Mapping[str, Any],
    ) -> Outcome:
        request = PROTOS.InvocationRequest(
            invocation_id=invocation_id,
            function_id=function_id,
            input_data=[
                PROTOS.ParameterBinding(name=name, data=_typed(datum)) for name, datum in inputs
            ],
            trigger_metadata={name: _typed(datum) for name, datum in metadata.items()},
        )
        received = _over_the_wire(request)
        response = _over_the_wire(
            await runtime.invocation_request(_message(invocation_request=received))
        )
        if not response.result.status:
            failure = response.result.exception
            return Outcome(ok=False, error=failure.message, stack_trace=failure.stack_trace)
        returned = response.return_value if response.HasField("return_value") else None
        return Outcome(ok=True, returned=None if returned is None else _datum(returned))

    def close(self) -> None:
        runtime.stop_threadpool_executor()


async def _call(function: Any, **request: Any) -> Any:
    """Send a request that has to succeed; return the response."""
    sent = {name: _over_the_wire(message) for name, message in request.items()}
    response = _over_the_wire(await function(_message(**sent)))
    if not response.result.status:
        raise RuntimeError(response.result.exception.stack_trace)
    return response


def _message(**request: Any) -> Any:
    properties = {"host": "127.0.0.1", "protos": PROTOS}
    return SimpleNamespace(properties=properties, request=SimpleNamespace(**request))


def _over_the_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


def _declaration(item: Any) -> DeclaredFunction:
    return DeclaredFunction(
        name=item.name,
        id=item.function_id,
        raw_bindings=tuple(item.raw_bindings),
        has_retry_policy=item.HasField("retry_options"),
    )


def _typed(datum: Any) -> Any:
    """Return what the host sends for a value."""
    if datum.type != "http":
        return PROTOS.TypedData(**{datum.type: datum.value})
    value = datum.value
    texts = {
        name: {key: item.value for key, item in value[name].items()}
        for name in ("headers", "query", "params")
    }
    return PROTOS.TypedData(
        http=PROTOS.RpcHttp(
            method=value["method"].value,
            url=value["url"].value,
            body=_typed(value["body"]),
            **texts,
        )
    )


def _datum(data: Any) -> Any:
    """Return a response as the local host's own path does."""
    kind = data.WhichOneof("data")
    if kind != "http":
        return Datum(getattr(data, kind), kind)
    value = {
        "status_code": Datum(data.http.status_code, "string"),
        "headers": {name: Datum(text, "string") for name, text in data.http.headers.items()},
        "body": _datum(data.http.body),
    }
    return Datum(value, "http")
