"""`/_local`: the routes that this hub has and IoT Hub does not.

No token is needed; only callers on a loopback address are served.

    GET     /_local/metrics[?format=prometheus]             counters
    GET     /_local/events?cursor=&waitSeconds=&limit=      telemetry, twin changes, connections
    POST    /_local/devices/{id}/messages                   send a cloud-to-device message
    GET, PUT, DELETE  /_local/faults                        the fault plan
"""

import asyncio
import contextlib
import ipaddress

from aiohttp import web

from simulator.hub.model.errors import ErrorCode, HubError, invalid
from simulator.hub.model.faults import FaultPlan
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import from_json
from simulator.hub.model.metering import Operation
from simulator.hub.rest.event_bodies import page_document, read_message
from simulator.hub.rest.fault_bodies import faults_document, read_fault_plan
from simulator.hub.rest.metrics import PROMETHEUS, metrics_document, prometheus_text
from simulator.hub.rest.responses import Response, json_response

PREFIX = "_local"
MAX_WAIT_SECONDS = 60
MAX_EVENTS = 1000
_DEFAULT_EVENTS = 100


async def local_response(hub: Hub, request: web.BaseRequest, segments: tuple[str, ...]) -> Response:
    """Respond to a request below `/_local`. Raises HubError."""
    if not _is_local(request.remote):
        raise HubError(ErrorCode.NO_SUCH_ROUTE, "only for callers on this machine")
    match (request.method, *segments[1:]):
        case ("GET", "metrics"):
            return _metrics(hub, request)
        case ("GET", "events"):
            return await _events(hub, request)
        case ("POST", "devices", device_id, "messages"):
            return await _send(hub, request, device_id)
        case ("GET", "faults"):
            return json_response(faults_document(hub.traffic.faults))
        case ("PUT", "faults"):
            hub.traffic.faults.put(read_fault_plan(from_json(await request.read())))
            return json_response(faults_document(hub.traffic.faults))
        case ("DELETE", "faults"):
            hub.traffic.faults.put(FaultPlan())
            return Response(204)
        case _:
            shown = "/".join(segments)
            raise HubError(ErrorCode.NO_SUCH_ROUTE, f"{request.method} /{shown} is not a route")


def _metrics(hub: Hub, request: web.BaseRequest) -> Response:
    accepted = request.headers.get("Accept", "")
    if request.query.get("format") == "prometheus" or "text/plain" in accepted:
        return Response(200, prometheus_text(hub), content_type=PROMETHEUS)
    return json_response(metrics_document(hub))


async def _events(hub: Hub, request: web.BaseRequest) -> Response:
    """Return events after `cursor`: that of the last response, `latest`, or none for all."""
    text = request.query.get("cursor", "")
    requested = hub.events.last if text == "latest" else _number(text or "0", "cursor", 2**53)
    cursor = min(requested, hub.events.last)
    limit = _number(request.query.get("limit", str(_DEFAULT_EVENTS)), "limit", MAX_EVENTS)
    seconds = _number(request.query.get("waitSeconds", "0"), "waitSeconds", MAX_WAIT_SECONDS)
    if seconds and hub.events.last == cursor:
        await _next_event(hub, seconds)
    return json_response(page_document(hub.events.read(cursor, max(limit, 1))))


async def _next_event(hub: Hub, seconds: float) -> None:
    more = asyncio.Event()
    hub.events.when_more(more.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await more.wait()
    finally:
        hub.events.forget(more.set)


async def _send(hub: Hub, request: web.BaseRequest, device_id: str) -> Response:
    hub.registry.get(device_id)
    message = read_message(from_json(await request.read()), device_id)
    wait = hub.traffic.admit(Operation.CLOUD_TO_DEVICE, device_id)
    if wait:
        await asyncio.sleep(wait)
    hub.messages.send(device_id, message)
    hub.traffic.meter(len(message.body))
    response = json_response(
        {
            "messageId": message.system_properties["mid"],
            "pending": hub.messages.pending(device_id),
        }
    )
    return Response(201, response.body)


def _is_local(remote: str | None) -> bool:
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False


def _number(text: str, name: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 17) or int(text) > highest:  # noqa: PLR2004
        raise invalid(f"{name} must be 0 to {highest}")
    return int(text)
