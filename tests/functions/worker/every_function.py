"""Call every function of the app once for each of its methods, and print how each ended, as JSON.

    python -m tests.functions.worker.every_function (local | proxy)

The app runs on a world in memory. `local` calls it as the local host does, `proxy` as Azure's
proxy worker does. A process can load one app once, so each way is a process of its own.
"""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from simulator.host.bindings import (
    AppFunction,
    HttpTrigger,
    QueueTrigger,
    TimerTrigger,
    parse_functions,
)
from simulator.host.http_messages import request_datum, response_from
from simulator.host.queue_messages import message_datum
from simulator.host.timer_listener import timer_datum
from simulator.host.worker import Datum, Outcome, Worker
from simulator.paths import REPOSITORY
from tests.functions.worker.proxy_worker import ProxyWorker

ROUTE_PREFIX = "api"
DEVICES = 120  # more than the request that creates a rollout starts
# What stands in a path for a parameter; `id` is the rollout's.
PARAMETERS = {"deviceId": "d-000", "name": "hook", "version": "2.4.0"}
BODIES: dict[str, Any] = {
    "create_rollout": {
        "firmware": {"version": "3", "packageUri": "https://packages.example/3.bin"},
        "target": {"deviceIds": ["d-000"]},
    },
}


async def main(way: str) -> None:
    settings = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    settings["ROLLOUT_ADVANCE_SCHEDULE"] = "*/7 * * * * *"  # read while the app is imported
    with TemporaryDirectory() as placeholder:
        if way == "proxy":
            worker: Any = await ProxyWorker.load(REPOSITORY, Path(placeholder), settings)
        else:
            os.environ.clear()
            os.environ.update(settings)
            worker = await Worker.load(REPOSITORY)
    declared = [(item.name, item.id, item.raw_bindings) for item in worker.functions]
    functions = parse_functions(declared, settings=settings, route_prefix=ROUTE_PREFIX)
    with pytest.MonkeyPatch.context() as patch:
        ended = await _call_all(worker, functions, patch)
    schedules = [item.trigger.text for item in functions if isinstance(item.trigger, TimerTrigger)]
    print(json.dumps({"schedules": schedules, "ended": ended}))
    worker.close()


async def _call_all(
    worker: Any, functions: tuple[AppFunction, ...], patch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return how each call ended, by function and method, and what the rollout is after them."""
    # Not before the app is loaded: the modules of the app must be imported by the worker.
    from functions.dispatch_queue import messages  # noqa: PLC0415
    from tests.functions.triggers.recorded_api import RecordedApi, device  # noqa: PLC0415

    fleet = [device(f"d-{number:03}") for number in range(DEVICES)]
    world = RecordedApi(fleet, patch).world
    rollout_id = world.create().rollout.id
    ended: dict[str, Any] = {}
    batches: list[str] = []
    for function in sorted(functions, key=_order):
        match function.trigger:
            case TimerTrigger():
                ended[function.name] = await _invoke(worker, function, timer_datum())
            case QueueTrigger():
                batches = batches or [messages.to_text(item) for item in world.batches()]
                delivery = json.dumps({"rolloutId": rollout_id, "webhook": "hook"})
                for number, text in enumerate([*batches, delivery, "no JSON"]):
                    value = message_datum(text.encode())
                    result = await _invoke(worker, function, value, _metadata(value))
                    ended[f"{function.name} {number}"] = result
            case HttpTrigger(methods=methods):
                for method in sorted(methods or ()):
                    value = _request(function, method, rollout_id)
                    ended[f"{function.name} {method}"] = await _invoke(worker, function, value)
        world.pass_time(seconds=1)
    counts = world.rollout(rollout_id).counts
    return ended | {"rollout": str(counts)}


def _order(function: AppFunction) -> tuple[int, str]:
    """Run the timer first and batches next: both change the rollout that requests then read."""
    kinds = (TimerTrigger, QueueTrigger, HttpTrigger)
    return kinds.index(type(function.trigger)), function.name


def _request(function: AppFunction, method: str, rollout_id: str) -> Any:
    assert isinstance(function.trigger, HttpTrigger)
    values = {"id": rollout_id, **PARAMETERS}
    names = re.findall(r"{(\w+)}", function.trigger.route)
    parameters = {name: values.get(name, "x") for name in names}
    path = re.sub(r"{(\w+)}", lambda found: parameters[found[1]], function.trigger.route)
    has_body = method in {"POST", "PUT", "PATCH"}
    body = json.dumps(BODIES.get(function.name, {})).encode() if has_body else b""
    return request_datum(
        method=method,
        url=f"http://localhost:7071/{ROUTE_PREFIX}/{path}?limit=3",
        headers={"content-length": str(len(body)), "host": "localhost:7071"},
        query={"limit": "3"},
        route_parameters=parameters,
        body=body,
    )


def _metadata(body: Any) -> dict[str, Any]:
    return {
        "QueueTrigger": body,
        "Id": Datum("message", "string"),
        "DequeueCount": Datum("1", "json"),
        "PopReceipt": Datum("receipt", "string"),
        "InsertionTime": Datum('"2026-11-23T12:00:00+00:00"', "json"),
    }


async def _invoke(worker: Any, function: AppFunction, value: Any, metadata: Any = None) -> Any:
    """Run a function in a task of its own, as both hosts do; return what its caller sees."""
    inputs = [(function.trigger.parameter, value)]
    outcome: Outcome = await asyncio.create_task(
        worker.invoke(function.id, "invocation", inputs, metadata or {})
    )
    if not outcome.ok:
        return {"error": re.findall(r"^[\w.]*?(\w+Error)\b", outcome.stack_trace, re.MULTILINE)[-1]}
    if outcome.returned is None:
        return {"returned": None}
    response = response_from(outcome.returned)
    assert isinstance(response.body, bytes)
    headers = {name.lower(): text for name, text in response.headers.items()}
    return {"status": response.status, "headers": headers, "body": response.body.decode("latin-1")}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
