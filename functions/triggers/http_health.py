"""HTTP route of the health of the hub and the storage account; it needs no key."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers.responses import PROBLEM_JSON, RETRY_AFTER, json_response, problem_type
from functions.triggers.route import Route
from functions.wire.health import HealthPartsSchema, HealthProblemSchema, HealthSchema

_log = logging.getLogger(__name__)

# The route is public, and each check calls the hub and the storage account.
MIN_CHECK_INTERVAL_SECONDS = 2.0


@dataclass
class _LastCheck:
    parts: dict[str, str] = field(default_factory=dict)  # "ok" or "failing" by part
    checked_at: float = float("-inf")  # monotonic seconds


_last = _LastCheck()


@Route(
    "GET",
    "health",
    summary="Return whether the hub and the storage account respond",
    response=HealthSchema,
    problem=HealthProblemSchema,
    is_public=True,
)
async def get_health(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every handler's
    if time.monotonic() > _last.checked_at + MIN_CHECK_INTERVAL_SECONDS:
        _last.parts = await _check_parts()
        _last.checked_at = time.monotonic()
    return _response(_last.parts)


async def _check_parts() -> dict[str, str]:
    hub, storage = await asyncio.gather(
        asyncio.to_thread(_check, "hub", lambda: wiring.hub().ping()),
        asyncio.to_thread(_check, "storage", lambda: wiring.stores().ping()),
    )
    return {"hub": hub, "storage": storage}


def _response(parts: Mapping[str, str]) -> HttpResponse:
    shown = HealthPartsSchema.model_construct(None, **parts)
    failing = [name for name, state in parts.items() if state != "ok"]
    if not failing:
        return json_response(HealthSchema(parts=shown))
    body = HealthProblemSchema(
        type=problem_type("unavailable"),
        title="Temporarily unavailable; try again later",
        status=int(HTTPStatus.SERVICE_UNAVAILABLE),
        detail=f"No response from: {', '.join(failing)}.",
        parts=shown,
    )
    return json_response(body, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_AFTER, PROBLEM_JSON)


def _check(name: str, ping: Callable[[], None]) -> str:
    try:
        ping()
    except Exception as error:  # noqa: BLE001 - any error means that the part does not respond
        _log.warning("%s does not respond: %s", name, type(error).__name__)
        return "failing"
    return "ok"
