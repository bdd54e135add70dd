"""The HTTP route that changes a rollout's strategy."""

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.triggers.entity_tags import IF_MATCH, etag_header, read_revisions
from functions.triggers.http_commands import identify_caller
from functions.triggers.http_rollouts import ROLLOUT_ID
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.rollout_body import show_rollout
from functions.triggers.route import Route
from functions.use_cases.change_strategy import change_strategy
from functions.wire import change_request
from functions.wire.change_request import ChangeRolloutSchema
from functions.wire.rollout import RolloutSchema


@Route(
    "PATCH",
    "rollouts/{id}",
    summary="Change the strategy of a rollout that is open, in part",
    response=RolloutSchema,
    body=ChangeRolloutSchema,
    is_body_required=True,
    parameters=(ROLLOUT_ID, IF_MATCH),
    is_tagged=True,
    problems=(400, 404, 409, 411, 412, 413, 415, 422, 503),
)
def change_rollout(request: HttpRequest) -> HttpResponse:
    body = change_request.parse(read_body(request))
    rollout = change_strategy(
        wiring.services(),
        ROLLOUT_ID.read(request),
        identify_caller(request, body),
        body.apply,
        read_revisions(request),
    )
    return json_response(show_rollout(rollout), headers=etag_header(rollout))
