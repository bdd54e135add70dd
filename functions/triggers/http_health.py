"""HTTP door to the health of what this app needs. Open to everyone."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers.responses import RETRY_AFTER_SECONDS, json_response

blueprint = func.Blueprint()

_log = logging.getLogger(__name__)


# Anybody may ask, and each look is a call to hub and storage: so looks are this far apart.
LOOK_EVERY_SECONDS = 2.0


@dataclass
class _Seen:
    """What the last look found, and when (monotonic seconds)."""

    parts: dict[str, str] = field(default_factory=dict)
    at: float = float("-inf")


_seen = _Seen()


@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_health(req: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the trigger's binding
    if time.monotonic() > _seen.at + LOOK_EVERY_SECONDS:
        _seen.parts = await _look()
        _seen.at = time.monotonic()
    return _response(_seen.parts)


async def _look() -> dict[str, str]:
    hub, storage = await asyncio.gather(
        asyncio.to_thread(_check, "hub", lambda: wiring.hub().ping()),
        asyncio.to_thread(_check, "storage", lambda: wiring.stores().ping()),
    )
    return {"hub": hub, "storage": storage}


def _response(parts: Mapping[str, str]) -> HttpResponse:
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
    except Exception as error:  # noqa: BLE001 - whatever it is, that part does not answer
        _log.warning("%s does not answer: %s", name, type(error).__name__)
        return "failing"
    return "ok"
