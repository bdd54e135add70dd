"""HTTP routes of the health of the app: what its calls last saw, and a probe.

`health` needs no key. It calls nothing, so that no stranger can spend the hub's quotas through it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import FleetRolloutError
from functions.last_calls import LastCalls, PartState, smallest_age, worst_state
from functions.triggers.responses import PROBLEM_JSON, RETRY_AFTER, json_response, problem_type
from functions.triggers.route import Route
from functions.wire.health import (
    HealthAgesSchema,
    HealthPartsSchema,
    HealthProblemSchema,
    HealthSchema,
)

_log = logging.getLogger(__name__)

# However many callers probe, the hub and the storage account are called this seldom.
MIN_CHECK_INTERVAL_SECONDS = 2.0
_NOT_STORED = {"Cache-Control": "no-store"}


@dataclass
class _LastCheck:
    """The latest probe, which all requests of its time share."""

    failures: Mapping[str, str] = field(default_factory=dict)  # why, by part; a part may be missing
    checked_at: float = float("-inf")  # monotonic seconds
    running: asyncio.Task[None] | None = None


_last = _LastCheck()


@Route(
    "GET",
    "health",
    summary="Return what the app last saw of the hub and the storage account; calls nothing",
    response=HealthSchema,
    problem=HealthProblemSchema,
    is_public=True,
)
async def get_health(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every handler's
    seen = wiring.last_calls()
    parts = {name: worst_state(calls) for name, calls in seen.parts().items()}
    failing = [name for name, state in parts.items() if state is PartState.FAILING]
    return _response(parts, seen, f"No response from: {', '.join(failing)}." if failing else "")


@Route(
    "GET",
    "health/ready",
    summary="Call the hub and the storage account, and return whether they respond",
    response=HealthSchema,
    problem=HealthProblemSchema,
)
async def get_readiness(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every handler's
    await _probe_seldom()
    seen = wiring.last_calls()
    parts = {
        name: PartState.FAILING if name in _last.failures else PartState.OK for name in seen.parts()
    }
    detail = " ".join(f"{name}: {why}" for name, why in _last.failures.items())
    return _response(parts, seen, detail)


async def _probe_seldom() -> None:
    """Probe, unless a probe is under way, which is waited for, or has just ended."""
    if time.monotonic() <= _last.checked_at + MIN_CHECK_INTERVAL_SECONDS:
        return
    if _last.running is None or _last.running.done():
        _last.running = asyncio.create_task(_probe())
    await asyncio.shield(_last.running)


async def _probe() -> None:
    ends = await asyncio.gather(
        asyncio.to_thread(_find_failure, "hub", lambda: wiring.hub().ping()),
        asyncio.to_thread(_find_failure, "storage", _ping_storage),
    )
    _last.failures = {name: why for name, why in ends if why}
    _last.checked_at = time.monotonic()


def _ping_storage() -> None:
    wiring.stores().ping()
    wiring.queue().ping()


def _find_failure(name: str, ping: Callable[[], None]) -> tuple[str, str]:
    """Return the part's name, and why it does not respond; "" if it does."""
    try:
        ping()
    except FleetRolloutError as error:  # these messages show no secret
        _log.warning("%s does not respond: %s", name, error)
        return name, str(error)
    except Exception:  # noqa: BLE001 - any error means that the part does not respond
        _log.exception("%s does not respond", name)
        return name, "It cannot be called; the app's log has the error."
    return name, ""


def _response(parts: Mapping[str, PartState], seen: LastCalls, detail: str) -> HttpResponse:
    """Return 200, or 503 if `detail` says what is wrong."""
    shown = HealthPartsSchema.model_construct(None, **parts)
    ages = HealthAgesSchema.model_construct(
        None,
        **{name: smallest_age(calls) for name, calls in seen.parts().items()},
        tick=seen.tick.age_seconds(),
    )
    if not detail:
        return json_response(HealthSchema(parts=shown, ages=ages), headers=_NOT_STORED)
    body = HealthProblemSchema(
        type=problem_type("unavailable"),
        title="Temporarily unavailable; try again later",
        status=int(HTTPStatus.SERVICE_UNAVAILABLE),
        detail=detail,
        parts=shown,
        ages=ages,
    )
    headers = {**RETRY_AFTER, **_NOT_STORED}
    return json_response(body, HTTPStatus.SERVICE_UNAVAILABLE, headers, PROBLEM_JSON)
