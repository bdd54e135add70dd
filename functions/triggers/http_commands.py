"""HTTP doors to the commands: pause, resume, cancel, approve, retry, rollback.

One function for each, so that in Azure each can have a key of its own.
"""

from collections.abc import Callable
from http import HTTPStatus

import azure.functions as func
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.triggers.address import without_query
from functions.triggers.responses import answer, json_response
from functions.use_cases import commands, rollback
from functions.use_cases.services import Services
from functions.wire import command_request, render
from functions.wire.command_request import SteeringRequest

blueprint = func.Blueprint()

# Who signed in, where App Service authentication is on (Microsoft Learn, "Work with user
# identities in Azure App Service authentication"); a function key alone names nobody.
PRINCIPAL_NAME = "x-ms-client-principal-name"
NOBODY_NAMED = "api"

type _UseCase = Callable[[Services, str, Caller], Rollout]


@blueprint.route("rollouts/{id}/pause", methods=["POST"])
def pause_rollout(req: HttpRequest) -> HttpResponse:
    return _carried_out(req, _changing(operator_commands.pause))


@blueprint.route("rollouts/{id}/resume", methods=["POST"])
def resume_rollout(req: HttpRequest) -> HttpResponse:
    return _carried_out(req, _changing(operator_commands.resume))


@blueprint.route("rollouts/{id}/approve", methods=["POST"])
def approve_rollout(req: HttpRequest) -> HttpResponse:
    return _carried_out(req, _changing(operator_commands.approve))


@blueprint.route("rollouts/{id}/cancel", methods=["POST"])
def cancel_rollout(req: HttpRequest) -> HttpResponse:
    return _carried_out(req, commands.cancel)


@blueprint.route("rollouts/{id}/retry", methods=["POST"])
def retry_rollout(req: HttpRequest) -> HttpResponse:
    return answer(_retry, req)


@blueprint.route("rollouts/{id}/rollback", methods=["POST"])
def roll_back_rollout(req: HttpRequest) -> HttpResponse:
    return answer(_roll_back, req)


def caller(request: HttpRequest, said: SteeringRequest) -> Caller:
    """Who asks, for the audit trail: the signed-in user, else whom the body names."""
    signed_in: str | None = request.headers.get(PRINCIPAL_NAME)
    return Caller((signed_in or said.by or NOBODY_NAMED)[:128], said.reason)


def _changing(command: commands.Command) -> _UseCase:
    """The use case of a command that changes the rollout alone."""
    return lambda services, rollout_id, by: commands.run_command(services, rollout_id, command, by)


def _carried_out(req: HttpRequest, use_case: _UseCase) -> HttpResponse:
    def handle(request: HttpRequest) -> HttpResponse:
        by = caller(request, command_request.parse(request.get_body()))
        rollout = use_case(wiring.services(), request.route_params["id"], by)
        return json_response(render.overview(rollout))

    return answer(handle, req)


def _retry(request: HttpRequest) -> HttpResponse:
    said = command_request.parse_retry(request.get_body())
    by, rollout_id = caller(request, said), request.route_params["id"]
    rollout = commands.retry(wiring.services(), rollout_id, by, said.package_uri)
    return json_response(render.overview(rollout))


def _roll_back(request: HttpRequest) -> HttpResponse:
    by = caller(request, command_request.parse(request.get_body()))
    rollout_id = request.route_params["id"]
    creation = rollback.roll_back(wiring.services(), rollout_id, by)
    rollouts = without_query(request).rstrip("/").removesuffix(f"/{rollout_id}/rollback")
    location = f"{rollouts}/{creation.rollout.id}"
    return json_response(render.creation(creation), HTTPStatus.CREATED, {"Location": location})
