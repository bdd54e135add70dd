"""HTTP routes of the freeze of starts in all rollouts."""

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.rollout.operator_commands import Caller
from functions.triggers.http_commands import identify_caller
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.route import Route
from functions.use_cases import freeze
from functions.wire import command_request
from functions.wire import freeze as freeze_wire
from functions.wire.command_request import CommandSchema
from functions.wire.freeze import FreezeRequestSchema, FreezeSchema


@Route(
    "PUT",
    "freeze",
    summary="Freeze starts in all rollouts, of all devices or of those that match a condition",
    response=FreezeSchema,
    body=FreezeRequestSchema,
    is_body_required=True,
    problems=(400, 409, 411, 413, 415, 422, 503),
)
def set_freeze(request: HttpRequest) -> HttpResponse:
    body = freeze_wire.parse(read_body(request))
    caller = identify_caller(request, CommandSchema(by=body.by))
    services = wiring.services()
    found, replaced = freeze.set_freeze(services, body.to_new_freeze(), caller)
    return json_response(FreezeSchema.of_latest(found, services.clock(), replaced))


@Route(
    "GET",
    "freeze",
    summary="Return the latest freeze, and whether it is in force",
    response=FreezeSchema,
)
def get_freeze(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every handler's
    services = wiring.services()
    return json_response(FreezeSchema.of_latest(freeze.read_latest(services), services.clock()))


@Route(
    "DELETE",
    "freeze",
    summary="Remove the freeze; rollouts go on with the next tick",
    response=FreezeSchema,
    body=CommandSchema,
    problems=(400, 404, 411, 413, 415, 422, 503),
)
def remove_freeze(request: HttpRequest) -> HttpResponse:
    caller: Caller = identify_caller(request, command_request.parse(read_body(request)))
    services = wiring.services()
    removed = freeze.remove_freeze(services, caller)
    return json_response(FreezeSchema.of_latest(removed, services.clock()))
