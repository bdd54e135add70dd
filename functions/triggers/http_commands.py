"""HTTP routes of the commands: pause, resume, cancel, approve, retry, rollback."""

from collections.abc import Callable
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.triggers.address import base_url
from functions.triggers.caller import identify
from functions.triggers.http_rollouts import ROLLOUT_ID
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.rollout_body import show_created, show_rollout
from functions.triggers.route import Route
from functions.use_cases import commands, rollback, stratum_commands
from functions.use_cases.services import Services
from functions.wire import command_request
from functions.wire.command_request import (
    CommandSchema,
    ResumeCommandSchema,
    RetryCommandSchema,
    StrataCommandSchema,
)
from functions.wire.rollout import RolloutSchema

type _UseCase = Callable[[Services, str, Caller], Rollout]


def _command_route(name: str, summary: str, body: type[CommandSchema] = CommandSchema) -> Route:
    return Route(
        "POST",
        f"rollouts/{{id}}/{name}",
        summary=summary,
        response=RolloutSchema,
        body=body,
        parameters=(ROLLOUT_ID,),
        statuses=(201,) if name == "rollback" else (200,),
        problems=(400, 404, 409, 411, 413, 415, 422, 503),
    )


@_command_route("pause", "Start no more devices; devices that are updating continue")
def pause_rollout(request: HttpRequest) -> HttpResponse:
    return _run(request, _use_case_of(operator_commands.pause))


@_command_route(
    "resume",
    "Continue; failures that were shown are acknowledged, later ones pause again",
    ResumeCommandSchema,
)
def resume_rollout(request: HttpRequest) -> HttpResponse:
    body = command_request.parse_resume(read_body(request))
    caller = identify_caller(request, body)
    rollout_id = ROLLOUT_ID.read(request)
    if body.strata:
        resumed = stratum_commands.resume_strata(
            wiring.services(), rollout_id, caller, body.strata, body.revision
        )
        return json_response(show_rollout(resumed))
    rollout = commands.resume(
        wiring.services(), rollout_id, caller, body.revision, body.package_uri
    )
    return json_response(show_rollout(rollout))


@_command_route("approve", "Open the wave that waits for approval")
def approve_rollout(request: HttpRequest) -> HttpResponse:
    return _run(request, _use_case_of(operator_commands.approve))


@_command_route("cancel", "Cancel the devices that have not started", StrataCommandSchema)
def cancel_rollout(request: HttpRequest) -> HttpResponse:
    body = command_request.parse_strata(read_body(request))
    services, rollout_id = wiring.services(), ROLLOUT_ID.read(request)
    caller = identify_caller(request, body)
    if body.strata:
        rollout = stratum_commands.cancel_strata(services, rollout_id, caller, body.strata)
    else:
        rollout = commands.cancel(services, rollout_id, caller)
    return json_response(show_rollout(rollout))


@_command_route(
    "retry",
    "Queue failed, skipped or cancelled devices again; the package may have a new address",
    RetryCommandSchema,
)
def retry_rollout(request: HttpRequest) -> HttpResponse:
    body = command_request.parse_retry(read_body(request))
    rollout = commands.retry(
        wiring.services(),
        ROLLOUT_ID.read(request),
        identify_caller(request, body),
        body.package_uri,
        states=body.states,
        device_ids=body.device_ids or (),
    )
    return json_response(show_rollout(rollout))


@_command_route(
    "rollback",
    "Return each completed device to its earlier firmware, as a new rollout",
    StrataCommandSchema,
)
def roll_back_rollout(request: HttpRequest) -> HttpResponse:
    body = command_request.parse_strata(read_body(request))
    services, rollout_id = wiring.services(), ROLLOUT_ID.read(request)
    caller = identify_caller(request, body)
    if body.strata:
        created = stratum_commands.roll_back_strata(services, rollout_id, caller, body.strata)
    else:
        created = rollback.roll_back(services, rollout_id, caller)
    body_of_new = show_created(created)
    headers = {"Location": f"{base_url(request)}/rollouts/{created.rollout.id}"}
    return json_response(body_of_new, HTTPStatus.CREATED, headers)


def identify_caller(request: HttpRequest, body: CommandSchema) -> Caller:
    """Return the caller for the audit trail: the signed-in user, else the name in the body."""
    identity = identify(request, body.by)
    return Caller(identity.name, body.reason, identity)


def _use_case_of(command: commands.Command) -> _UseCase:
    """Return the use case of a command that changes only the rollout's own record."""
    return lambda services, rollout_id, by: commands.run_command(services, rollout_id, command, by)


def _run(request: HttpRequest, use_case: _UseCase) -> HttpResponse:
    body = command_request.parse(read_body(request))
    rollout = use_case(wiring.services(), ROLLOUT_ID.read(request), identify_caller(request, body))
    return json_response(show_rollout(rollout))
