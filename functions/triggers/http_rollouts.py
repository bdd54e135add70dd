"""HTTP routes of rollouts: create, plan and read."""

import asyncio
import time
from dataclasses import replace
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.rollout import RolloutStatus
from functions.triggers.address import base_url
from functions.triggers.caller import identify
from functions.triggers.entity_tags import etag_header
from functions.triggers.paging import PAGE, build_page, read_page
from functions.triggers.parameters import (
    ChoiceParameter,
    PathParameter,
    TextParameter,
    WholeNumberParameter,
)
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.rollout_body import (
    show_created,
    show_rollout,
    show_rollout_with_history,
)
from functions.triggers.route import Route
from functions.use_cases import plan, read
from functions.use_cases.read import WantedUpdates
from functions.use_cases.read_failures import read_failures
from functions.use_cases.submit import submit
from functions.wire import create_request
from functions.wire.command_request import MAX_REVISION
from functions.wire.create_request import CreateRolloutSchema
from functions.wire.device_update import (
    DeviceUpdateInFullSchema,
    DeviceUpdateSchema,
    DeviceUpdatesSchema,
)
from functions.wire.event import EventSchema, EventsSchema
from functions.wire.plan import PlanSchema
from functions.wire.rollout import RolloutSchema, RolloutsSchema

# Each poll of a waiting request is one point read of Table Storage.
POLL_SECONDS = 0.5

ROLLOUT_ID = PathParameter("id", "A rollout's id.")
DEVICE_ID = PathParameter(
    "deviceId", "A device's id, percent-encoded once: the id a#b is a%23b in the path."
)
IDEMPOTENCY_KEY = TextParameter(
    "Idempotency-Key",
    "Requests with the same key and body create one rollout.",
    "header",
    max_length=255,
)
WAIT_SECONDS = WholeNumberParameter(
    name="waitSeconds",
    low=0,
    high=60,
    default=0,
    description="Respond when the rollout is over, or has changed `after` a revision; at the latest"
    " after this time.",
)
AFTER = WholeNumberParameter(
    name="after",
    low=0,
    high=MAX_REVISION,
    default=None,
    description="With waitSeconds: respond as soon as the rollout's `revision` is greater.",
)
POSITION = WholeNumberParameter(
    name="position",
    low=0,
    high=10_000_000,
    default=0,
    description="Begin at this position of the start order, from 0. A `cursor` takes precedence.",
)
STATUS = ChoiceParameter("status", RolloutStatus)
STATE = ChoiceParameter("state", DeviceState)
ERROR_CODE = ChoiceParameter("errorCode", ErrorCode, "List the failed devices with this code.")
WAVE = TextParameter("wave", "List the devices of the wave with this name.", "query", max_length=64)
DEVICE_FILTERS = (STATE, ERROR_CODE, WAVE)


@Route(
    "POST",
    "rollouts",
    summary="Create a rollout; 200 if the Idempotency-Key was used before",
    response=RolloutSchema,
    body=CreateRolloutSchema,
    is_body_required=True,
    parameters=(IDEMPOTENCY_KEY,),
    statuses=(200, 201),
    problems=(400, 409, 411, 413, 415, 422, 503),
)
def create_rollout(request: HttpRequest) -> HttpResponse:
    new_rollout = create_request.parse(read_body(request))
    new_rollout = replace(new_rollout, created_by=identify(request))
    created = submit(wiring.services(), new_rollout, IDEMPOTENCY_KEY.read(request))
    location = f"{base_url(request)}/rollouts/{created.rollout.id}"
    status = HTTPStatus.CREATED if created.is_new else HTTPStatus.OK
    body = show_created(created)
    return json_response(body, status, {"Location": location})


@Route(
    "GET",
    "rollouts",
    summary="List rollouts, newest first",
    response=RolloutsSchema,
    parameters=(STATUS, *PAGE),
    problems=(422, 503),
)
def list_rollouts(request: HttpRequest) -> HttpResponse:
    status, store = STATUS.read(request), wiring.stores().rollouts
    page = read_page(
        lambda limit, cursor: read.list_rollouts(store, status, limit, cursor), request
    )
    items = map(show_rollout, page.items)
    return json_response(build_page(RolloutsSchema, request, items, page.cursor, STATUS))


@Route(
    "POST",
    "rollouts/plan",
    summary="Return what a rollout would do, without creating it",
    response=PlanSchema,
    body=CreateRolloutSchema,
    is_body_required=True,
    problems=(400, 411, 413, 415, 422, 503),
)
def plan_rollout(request: HttpRequest) -> HttpResponse:
    new_rollout = create_request.parse(read_body(request))
    planned = plan.plan(wiring.services(), new_rollout)
    body = PlanSchema.of(
        planned,
        expected_duration=planned.forecast.duration,
        limited_by=planned.forecast.limited_by,
        hub_messages=planned.forecast.messages,
        quota_minimum_seconds=round(planned.quota_minimum_seconds, 1),
    )
    return json_response(body)


@Route(
    "GET",
    "rollouts/{id}",
    summary="Return one rollout",
    response=RolloutSchema,
    parameters=(ROLLOUT_ID, WAIT_SECONDS, AFTER),
    is_tagged=True,
    problems=(404, 422, 503),
)
async def get_rollout(request: HttpRequest) -> HttpResponse:
    rollout_id = ROLLOUT_ID.read(request)
    until, after = time.monotonic() + WAIT_SECONDS.read(request), AFTER.read(request)
    services = await asyncio.to_thread(wiring.services)
    store = services.stores.rollouts
    while time.monotonic() < until:
        if await asyncio.to_thread(read.is_awaited, store, rollout_id, after):
            break
        await asyncio.sleep(min(POLL_SECONDS, max(0, until - time.monotonic())))
    found = await asyncio.to_thread(read.get_overview, store, rollout_id)
    failures = await asyncio.to_thread(read_failures, services, found.rollout)
    body = show_rollout_with_history(found.rollout, failures, found.device_ids)
    return json_response(body, headers=etag_header(found.rollout))


@Route(
    "GET",
    "rollouts/{id}/devices",
    summary="List a rollout's device updates, in start order",
    response=DeviceUpdatesSchema,
    parameters=(ROLLOUT_ID, *DEVICE_FILTERS, POSITION, *PAGE),
    problems=(404, 422, 503),
)
def list_device_updates(request: HttpRequest) -> HttpResponse:
    rollout_id = ROLLOUT_ID.read(request)
    wanted = WantedUpdates(
        state=STATE.read(request), error_code=ERROR_CODE.read(request), wave=WAVE.read(request)
    )
    wanted.check()
    store, first = wiring.stores().rollouts, POSITION.read(request) or 0
    rollout, page = read_page(
        lambda limit, cursor: read.list_device_updates(
            store, rollout_id, wanted, limit, cursor, first=first
        ),
        request,
    )
    items = (DeviceUpdateSchema.of(update, rollout=rollout) for update in page.items)
    return json_response(
        build_page(DeviceUpdatesSchema, request, items, page.cursor, *DEVICE_FILTERS)
    )


@Route(
    "GET",
    "rollouts/{id}/devices/{deviceId}",
    summary="Return one device update with its history and the reason for its state",
    response=DeviceUpdateInFullSchema,
    parameters=(ROLLOUT_ID, DEVICE_ID),
    problems=(404, 503),
)
def get_device_update(request: HttpRequest) -> HttpResponse:
    services = wiring.services()
    rollout_id, device_id = ROLLOUT_ID.read(request), DEVICE_ID.read(request)
    found = read.explain_device_update(
        services.stores.rollouts, rollout_id, device_id, services.clock()
    )
    body = DeviceUpdateInFullSchema.of(
        found.update, rollout=found.rollout, explanation=found.explanation
    )
    return json_response(body)


@Route(
    "GET",
    "rollouts/{id}/events",
    summary="List the audit trail, oldest first",
    response=EventsSchema,
    parameters=(ROLLOUT_ID, *PAGE),
    problems=(404, 422, 503),
)
def list_events(request: HttpRequest) -> HttpResponse:
    rollout_id, store = ROLLOUT_ID.read(request), wiring.stores().rollouts
    page = read_page(
        lambda limit, cursor: read.list_events(store, rollout_id, limit, cursor), request
    )
    items = map(EventSchema.of, page.items)
    return json_response(build_page(EventsSchema, request, items, page.cursor))
