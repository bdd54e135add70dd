"""Admission of service requests: throttling, faults and the metering of messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from simulator.hub.model.errors import HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import from_json
from simulator.hub.model.metering import Operation, blocks
from simulator.hub.rest.operations import Request
from simulator.hub.rest.responses import Response, form_b

type ServiceOperation = Literal[
    Operation.METHOD,
    Operation.TWIN_READ,
    Operation.TWIN_UPDATE,
    Operation.QUERY,
    Operation.REGISTRY,
    Operation.JOB,
    Operation.CONFIGURATION,
]
"""The operation classes that a route of the service API can have."""


async def admit_request(
    hub: Hub,
    operation: ServiceOperation,
    request: Request,
    perform: Callable[[], Awaitable[Response]],
) -> Response:
    """Perform a request when its throttle allows it, then meter its bodies. Raises HubError."""
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
    response = await perform()
    traffic.meter(*_metered_bodies(operation, request, response))
    return response


def _device_id(operation: ServiceOperation, request: Request) -> str:
    """Return the device or module that a fault must match; jobs and configurations have none."""
    is_of_device = operation not in (Operation.JOB, Operation.CONFIGURATION)
    return "/".join(request.ids) if is_of_device else ""


def _cost(operation: ServiceOperation, request: Request) -> int:
    """Return what a request takes from its throttle.

    Methods are limited by bytes, in blocks of 4 KB; a bulk write counts once for each device.
    The whole body is measured; whether the service counts the payload alone is unverified.
    """
    if operation is Operation.METHOD:
        return blocks(len(request.body))
    if operation is Operation.REGISTRY and not request.ids and request.body:
        items = from_json(request.body)
        return max(1, len(items)) if isinstance(items, list) else 1
    return 1


def _metered_bodies(
    operation: ServiceOperation, request: Request, response: Response
) -> tuple[int, ...]:
    """Return the sizes of the bodies that count as messages.

    A method that reached no device counts an empty response.
    """
    match operation:
        case Operation.METHOD:
            is_success = response.status < 300  # noqa: PLR2004
            return len(request.body), len(response.body) if is_success else 0
        case Operation.TWIN_UPDATE:
            return (len(request.body),)
        case Operation.TWIN_READ | Operation.QUERY:
            return (len(response.body),)
        case Operation.REGISTRY | Operation.JOB | Operation.CONFIGURATION:
            return ()
