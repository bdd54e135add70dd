"""Service requests at the gate: which operation each one is, what it costs, how long it waits."""

import asyncio
from collections.abc import Awaitable, Callable

from simulator.hub.model.errors import HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import from_json
from simulator.hub.model.metering import Operation, blocks
from simulator.hub.rest.answers import Answer, form_b
from simulator.hub.rest.operations import Request

_BY_COLLECTION = {
    "devices": Operation.REGISTRY,
    "statistics": Operation.REGISTRY,
    "configurations": Operation.CONFIGURATION,
    "jobs": Operation.JOB,
}


def operation_of(method: str, segments: tuple[str, ...]) -> Operation:
    """The kind of operation that a route of the service API is.

    That statistics and module identities count as registry operations is unverified.
    """
    collection, last = segments[0], segments[-1]
    if collection == "twins":
        if last == "methods" and method == "POST":
            return Operation.METHOD
        return Operation.TWIN_READ if method == "GET" else Operation.TWIN_UPDATE
    if segments == ("devices", "query"):
        return Operation.QUERY
    if last == "applyConfigurationContent":
        return Operation.CONFIGURATION
    return _BY_COLLECTION.get(collection, Operation.REGISTRY)


async def through_the_gate(
    hub: Hub, operation: Operation, request: Request, perform: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Perform a request once it may, and count what it carried. Raises HubError."""
    traffic = hub.traffic
    cost = _cost(operation, request) if traffic.is_throttled else 1
    try:
        wait = traffic.admit(operation, _device_id(operation, request), cost)
    except HubError as error:
        if operation is Operation.METHOD:
            return form_b(error, hub.clock.now())
        raise
    if wait:
        await asyncio.sleep(wait)
    answer = await perform()
    traffic.carried(*_bodies(operation, request, answer))
    return answer


def _device_id(operation: Operation, request: Request) -> str:
    """Whom a fault must be for; the id of a job or a configuration is no device's."""
    is_of_device = operation not in (Operation.JOB, Operation.CONFIGURATION)
    return "/".join(request.ids) if is_of_device else ""


def _cost(operation: Operation, request: Request) -> int:
    """Methods are limited by bytes, in blocks of 4 KB; a bulk write counts once for each device.

    The whole body is measured; whether the service counts the payload alone is unverified.
    """
    if operation is Operation.METHOD:
        return blocks(len(request.body))
    if operation is Operation.REGISTRY and not request.ids and request.body:
        items = from_json(request.body)
        return max(1, len(items)) if isinstance(items, list) else 1
    return 1


def _bodies(operation: Operation, request: Request, answer: Answer) -> tuple[int, ...]:
    """Sizes of what counts as messages; a method that reached nobody has an empty answer."""
    match operation:
        case Operation.METHOD:
            return len(request.body), len(answer.body) if answer.status < 300 else 0  # noqa: PLR2004
        case Operation.TWIN_UPDATE:
            return (len(request.body),)
        case Operation.TWIN_READ | Operation.QUERY:
            return (len(answer.body),)
        case _:
            return ()
