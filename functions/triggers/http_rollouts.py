"""HTTP doors to rollouts: create and read (contract, section 3)."""

import asyncio
import time
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import InvalidError
from functions.rollouts.model import DeviceState, RolloutStatus
from functions.triggers import create_request, query, render
from functions.triggers.responses import answer, answer_later, json_response
from functions.use_cases import read
from functions.use_cases.create import STARTED_AT_ONCE_AT_MOST, create

blueprint = func.Blueprint()

WAIT_AT_MOST_SECONDS = 60
# A waiting request looks this often; each look is one point read.
LOOK_EVERY_SECONDS = 0.5
KEY_CHARACTERS_AT_MOST = 255


@blueprint.route("rollouts", methods=["POST"])
def create_rollout(req: HttpRequest) -> HttpResponse:
    return answer(_create, req)


@blueprint.route("rollouts", methods=["GET"])
def list_rollouts(req: HttpRequest) -> HttpResponse:
    return answer(_list, req)


@blueprint.route("rollouts/{id}", methods=["GET"])
async def get_rollout(req: HttpRequest) -> HttpResponse:
    return await answer_later(_get, req)


@blueprint.route("rollouts/{id}/devices", methods=["GET"])
def list_device_updates(req: HttpRequest) -> HttpResponse:
    return answer(_list_device_updates, req)


@blueprint.route("rollouts/{id}/devices/{deviceId}", methods=["GET"])
def get_device_update(req: HttpRequest) -> HttpResponse:
    return answer(_get_device_update, req)


def _create(request: HttpRequest) -> HttpResponse:
    wanted = create_request.parse(request.get_body())
    services = wiring.services()
    creation = create(services, wanted, _idempotency_key(request))
    body = render.overview(read.overview(services.store, creation.rollout, creation.updates))
    if len(creation.rollout.device_ids) <= STARTED_AT_ONCE_AT_MOST:
        body["devices"] = [render.device_update(update) for update in creation.updates]
    scheme, host, path, _, _ = urlsplit(request.url)
    location = urlunsplit((scheme, host, f"{path.rstrip('/')}/{creation.rollout.id}", "", ""))
    status = HTTPStatus.CREATED if creation.is_new else HTTPStatus.OK
    return json_response(body, status, {"Location": location})


def _idempotency_key(request: HttpRequest) -> str | None:
    key: str | None = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= KEY_CHARACTERS_AT_MOST:
        raise InvalidError(f"Idempotency-Key must be 1 to {KEY_CHARACTERS_AT_MOST} characters.")
    return key


def _list(request: HttpRequest) -> HttpResponse:
    status = query.word(request, "status", RolloutStatus)
    store = wiring.store()
    page = query.page(lambda limit, at: read.rollouts(store, status, limit, at), request)
    items = [render.overview(item) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor, "status"))


async def _get(request: HttpRequest) -> HttpResponse:
    """With `waitSeconds`, answers as soon as the rollout has ended, or after that time."""
    rollout_id = request.route_params["id"]
    wait = query.whole_number(request, "waitSeconds", 0, 0, WAIT_AT_MOST_SECONDS)
    until = time.monotonic() + wait
    store = await asyncio.to_thread(wiring.store)
    while time.monotonic() < until:
        if await asyncio.to_thread(read.has_ended, store, rollout_id):
            break
        await asyncio.sleep(min(LOOK_EVERY_SECONDS, max(0, until - time.monotonic())))
    item = await asyncio.to_thread(read.rollout, store, rollout_id)
    return json_response(render.overview(item))


def _list_device_updates(request: HttpRequest) -> HttpResponse:
    rollout_id = request.route_params["id"]
    state = query.word(request, "state", DeviceState)
    store = wiring.store()
    page = query.page(
        lambda limit, at: read.device_updates(store, rollout_id, state, limit, at), request
    )
    items = [render.device_update(item) for item in page.items]
    return json_response(query.page_body(request, items, page.cursor, "state"))


def _get_device_update(request: HttpRequest) -> HttpResponse:
    rollout_id, device_id = request.route_params["id"], request.route_params["deviceId"]
    update = read.device_update(wiring.store(), rollout_id, device_id)
    return json_response(render.device_update_in_full(update))
