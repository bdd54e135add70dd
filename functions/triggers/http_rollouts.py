"""HTTP doors to rollouts: create, plan and read."""

import asyncio
import time
from http import HTTPStatus

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import InvalidError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.triggers import query
from functions.triggers.address import without_query
from functions.triggers.responses import answer, answer_later, json_response
from functions.triggers.routes import KEY_CHARACTERS_AT_MOST, WAIT_AT_MOST_SECONDS
from functions.use_cases import plan, read
from functions.use_cases.submit import submit
from functions.wire import create_request, render

blueprint = func.Blueprint()


# A waiting request looks this often; each look is one point read.
LOOK_EVERY_SECONDS = 0.5


@blueprint.route("rollouts", methods=["POST"])
def create_rollout(req: HttpRequest) -> HttpResponse:
    return answer(_create, req)


@blueprint.route("rollouts", methods=["GET"])
def list_rollouts(req: HttpRequest) -> HttpResponse:
    return answer(_list, req)


@blueprint.route("rollouts/plan", methods=["POST"])
def plan_rollout(req: HttpRequest) -> HttpResponse:
    return answer(_plan, req)


@blueprint.route("rollouts/{id}", methods=["GET"])
async def get_rollout(req: HttpRequest) -> HttpResponse:
    return await answer_later(_get, req)


@blueprint.route("rollouts/{id}/devices", methods=["GET"])
def list_device_updates(req: HttpRequest) -> HttpResponse:
    return answer(_list_device_updates, req)


@blueprint.route("rollouts/{id}/devices/{deviceId}", methods=["GET"])
def get_device_update(req: HttpRequest) -> HttpResponse:
    return answer(_get_device_update, req)


@blueprint.route("rollouts/{id}/events", methods=["GET"])
def list_events(req: HttpRequest) -> HttpResponse:
    return answer(_list_events, req)


def _create(request: HttpRequest) -> HttpResponse:
    wanted = create_request.parse(request.get_body())
    services = wiring.services()
    creation = submit(services, wanted, _idempotency_key(request))
    body = render.creation(creation)
    location = f"{without_query(request).rstrip('/')}/{creation.rollout.id}"
    status = HTTPStatus.CREATED if creation.is_new else HTTPStatus.OK
    return json_response(body, status, {"Location": location})


def _plan(request: HttpRequest) -> HttpResponse:
    wanted = create_request.parse(request.get_body())
    return json_response(render.plan(plan.plan(wiring.services(), wanted)))


def _idempotency_key(request: HttpRequest) -> str | None:
    key: str | None = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= KEY_CHARACTERS_AT_MOST:
        raise InvalidError(f"Idempotency-Key must be 1 to {KEY_CHARACTERS_AT_MOST} characters.")
    return key


def _list(request: HttpRequest) -> HttpResponse:
    status = query.word(request, "status", RolloutStatus)
    store = wiring.stores().rollouts
    page = query.page(lambda limit, at: read.list_rollouts(store, status, limit, at), request)
    items = [render.overview(item) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor, "status"))


async def _get(request: HttpRequest) -> HttpResponse:
    """With `waitSeconds`, answers as soon as the rollout is over, or after that time."""
    rollout_id = request.route_params["id"]
    wait = query.whole_number(request, "waitSeconds", 0, 0, WAIT_AT_MOST_SECONDS)
    until = time.monotonic() + wait
    store = (await asyncio.to_thread(wiring.stores)).rollouts
    while time.monotonic() < until:
        if await asyncio.to_thread(read.is_over, store, rollout_id):
            break
        await asyncio.sleep(min(LOOK_EVERY_SECONDS, max(0, until - time.monotonic())))
    item = await asyncio.to_thread(read.get_overview, store, rollout_id)
    return json_response(render.overview(item.rollout, item.device_ids))


def _list_device_updates(request: HttpRequest) -> HttpResponse:
    rollout_id = request.route_params["id"]
    state = query.word(request, "state", DeviceState)
    store = wiring.stores().rollouts
    rollout, page = query.page(
        lambda limit, at: read.list_device_updates(store, rollout_id, state, limit, at), request
    )
    items = [render.device_update(item, rollout) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor, "state"))


def _get_device_update(request: HttpRequest) -> HttpResponse:
    services = wiring.services()
    rollout_id, device_id = request.route_params["id"], request.route_params["deviceId"]
    found = read.explain_device_update(
        services.stores.rollouts, rollout_id, device_id, services.clock()
    )
    return json_response(render.device_update_in_full(found))


def _list_events(request: HttpRequest) -> HttpResponse:
    rollout_id = request.route_params["id"]
    store = wiring.stores().rollouts
    page = query.page(lambda limit, at: read.list_events(store, rollout_id, limit, at), request)
    items = [render.event(item) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor))
