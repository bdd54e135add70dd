"""HTTP route of the states of all devices of a rollout, for the page."""

import asyncio
import time

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.settings.environment import read_tick_interval
from functions.triggers.compression import compress
from functions.triggers.http_rollouts import POLL_SECONDS, ROLLOUT_ID, WAIT_SECONDS
from functions.triggers.parameters import TimeParameter, WholeNumberParameter
from functions.triggers.responses import json_response
from functions.triggers.rollout_body import show_rollout_with_history
from functions.triggers.route import Route
from functions.use_cases.read_failures import complete
from functions.use_cases.read_states import ShownStates, read_states
from functions.use_cases.services import Services
from functions.wire.command_request import MAX_REVISION
from functions.wire.rollout import RolloutSchema
from functions.wire.states import ForecastSchema, HaltSchema, StatesSchema

AFTER = WholeNumberParameter(
    name="after",
    low=0,
    high=MAX_REVISION,
    default=None,
    description="Return only devices whose block was written after this `revision`.",
)
AT = TimeParameter(
    name="at",
    description="Return the states as they were then, as far as the devices' histories reach."
    " `after` and `waitSeconds` are then ignored.",
)


@Route(
    "GET",
    "rollouts/{id}/states",
    summary="Return the states of all devices in start order, one letter for each",
    response=StatesSchema,
    parameters=(ROLLOUT_ID, AFTER, WAIT_SECONDS, AT),
    problems=(404, 422, 503),
)
async def get_states(request: HttpRequest) -> HttpResponse:
    rollout_id, after, at = ROLLOUT_ID.read(request), AFTER.read(request), AT.read(request)
    until = time.monotonic() + (WAIT_SECONDS.read(request) or 0)
    services = await asyncio.to_thread(wiring.services)
    if at is not None:
        after = None
    elif after is not None:
        await _wait_for_change(services, rollout_id, after, until)
    interval = read_tick_interval()
    found = await asyncio.to_thread(read_states, services, rollout_id, at, interval)
    body = StatesSchema.of_blocks(
        found.rollout,
        found.blocks,
        after=after,
        at=found.at,
        failures=found.failures,
        ticked_at=found.ticked_at,
        tick_seconds=None if interval is None else interval.total_seconds(),
        forecast=_show_forecast(found),
        halts=[HaltSchema.of(halt) for halt in found.halts],
        rollout=_show_rollout(found, after),
    )
    return compress(request, json_response(body, headers={"Cache-Control": "no-store"}))


async def _wait_for_change(services: Services, rollout_id: str, after: int, until: float) -> None:
    """Wait until the rollout has a revision above `after`, at most until `until`, monotonic."""
    while time.monotonic() < until:
        snapshot = await asyncio.to_thread(
            services.watch.read_snapshot, services.stores, rollout_id, services.clock()
        )
        if snapshot.rollout.revision > after:
            return
        await asyncio.sleep(min(POLL_SECONDS, max(0, until - time.monotonic())))


def _show_rollout(found: ShownStates, after: int | None) -> RolloutSchema | None:
    if after is not None and found.rollout.revision <= after:
        return None
    failures = complete(found.rollout.failures, found.failures)
    return show_rollout_with_history(found.rollout, failures)


def _show_forecast(found: ShownStates) -> ForecastSchema | None:
    if found.forecast is None:
        return None
    return ForecastSchema.of(found.forecast, seconds_per_device=found.per_device.total_seconds())
