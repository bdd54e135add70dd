"""HTTP routes of a device's history and quarantine."""

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers.http_rollouts import DEVICE_ID
from functions.triggers.paging import PAGE, build_page, read_page
from functions.triggers.responses import json_response
from functions.triggers.route import Route
from functions.use_cases import quarantine, read
from functions.wire.device_update import (
    DeviceHistoriesSchema,
    DeviceHistorySchema,
    QuarantineSchema,
)


@Route(
    "GET",
    "devices/{deviceId}/rollouts",
    summary="List the rollouts of a device, newest first",
    response=DeviceHistoriesSchema,
    parameters=(DEVICE_ID, *PAGE),
    problems=(422, 503),
)
def list_device_history(request: HttpRequest) -> HttpResponse:
    device_id, services = DEVICE_ID.read(request), wiring.services()
    targets, now = services.stores.targets, services.clock()
    page = read_page(
        lambda limit, cursor: read.list_device_history(targets, device_id, limit, cursor, now),
        request,
    )
    items = (
        DeviceHistorySchema.of(found.update, rollout=found.rollout, explanation=found.explanation)
        for found in page.items
    )
    shown = build_page(DeviceHistoriesSchema, request, items, page.cursor)
    found = quarantine.read(services, device_id)
    kept = QuarantineSchema.of(found) if found else None
    return json_response(shown.model_copy(update={"quarantine": kept}))


@Route(
    "DELETE",
    "devices/{deviceId}/quarantine",
    summary="Release a device from quarantine, and forget its failures",
    response=QuarantineSchema,
    parameters=(DEVICE_ID,),
    problems=(404, 503),
)
def release_device(request: HttpRequest) -> HttpResponse:
    released = quarantine.release(wiring.services(), DEVICE_ID.read(request))
    return json_response(QuarantineSchema.of(released))
