"""HTTP route of all that is stored of a rollout, as JSON lines."""

import json
from collections.abc import Iterable
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.audit_trail import Event
from functions.triggers.compression import compress
from functions.triggers.http_rollouts import ROLLOUT_ID
from functions.triggers.paging import CURSOR, next_link, read_from_cursor
from functions.triggers.rollout_body import show_rollout_with_history
from functions.triggers.route import Route
from functions.use_cases.export import ExportPart, check_not_removed, read_export
from functions.use_cases.read import ExplainedUpdate, Overview
from functions.use_cases.read_failures import read_failures
from functions.use_cases.services import Services
from functions.wire.device_update import DeviceUpdateInFullSchema
from functions.wire.event import EventSchema
from functions.wire.export import ExportLineSchema, LineKind

JSON_LINES = "application/x-ndjson"
# The Functions host holds a whole response in memory. A response ends after the part of the
# export that reaches this size.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024


@Route(
    "GET",
    "rollouts/{id}/export",
    summary="Return all that is stored of a rollout, as JSON lines",
    response=ExportLineSchema,
    media_type=JSON_LINES,
    parameters=(ROLLOUT_ID, CURSOR),
    problems=(404, 422, 503),
)
def export_rollout(request: HttpRequest) -> HttpResponse:
    rollout_id, services = ROLLOUT_ID.read(request), wiring.services()
    store, now = services.stores.rollouts, services.clock()
    text = read_from_cursor(
        lambda cursor: _write(request, services, read_export(store, rollout_id, cursor, now)),
        request,
    )
    check_not_removed(store, rollout_id)
    response = HttpResponse(text, status_code=HTTPStatus.OK, mimetype=JSON_LINES)
    return compress(request, response)


def _write(request: HttpRequest, services: Services, parts: Iterable[ExportPart]) -> bytes:
    """Return the lines of all parts or, above the size of a response, of the first of them."""
    text = bytearray()
    for part in parts:
        for item in part.items:
            text += _line(_show(services, item))
        if part.cursor is not None and len(text) >= MAX_RESPONSE_BYTES:
            link = next_link(request, cursor=part.cursor)
            text += _line(ExportLineSchema.model_construct(kind=LineKind.MORE, next_link=link))
            break
    return bytes(text)


def _show(services: Services, item: Overview | ExplainedUpdate | Event) -> ExportLineSchema:
    match item:
        case Overview():
            failures = read_failures(services, item.rollout)
            rollout = show_rollout_with_history(item.rollout, failures, item.device_ids)
            return ExportLineSchema.model_construct(kind=LineKind.ROLLOUT, rollout=rollout)
        case ExplainedUpdate():
            device = DeviceUpdateInFullSchema.of(
                item.update, rollout=item.rollout, explanation=item.explanation
            )
            return ExportLineSchema.model_construct(kind=LineKind.DEVICE, device=device)
        case Event():
            event = EventSchema.of(item)
            return ExportLineSchema.model_construct(kind=LineKind.EVENT, event=event)


def _line(line: ExportLineSchema) -> bytes:
    return json.dumps(line.to_json_value(), separators=(",", ":")).encode() + b"\n"
