"""HTTP door to the health of what this app needs (contract, section 3). Open to everyone."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import FleetRolloutError
from functions.triggers.responses import RETRY_AFTER_SECONDS, json_response

blueprint = func.Blueprint()

_log = logging.getLogger(__name__)


@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_health(req: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the trigger's binding
    hub, storage = await asyncio.gather(
        asyncio.to_thread(_check, "hub", lambda: wiring.hub().ping()),
        asyncio.to_thread(_check, "storage", lambda: wiring.store().ping()),
    )
    parts = {"hub": hub, "storage": storage}
    failing = [name for name, state in parts.items() if state != "ok"]
    if not failing:
        return json_response({"status": "healthy", "parts": parts})
    body = {
        "type": "urn:fleet-rollout:problem:unavailable",
        "title": "Not available now",
        "status": int(HTTPStatus.SERVICE_UNAVAILABLE),
        "detail": f"Not answering: {', '.join(failing)}.",
        "parts": parts,
    }
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return json_response(body, status, headers, "application/problem+json")


def _check(name: str, ping: Callable[[], None]) -> str:
    try:
        ping()
    except FleetRolloutError as error:
        _log.warning("%s does not answer: %s", name, error)
        return "failing"
    return "ok"
