"""HTTP routes that change a rollout's strategy, or try a change of its failure gate."""

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
from functions.use_cases.read import preview_gate
from functions.wire import change_request, gate
from functions.wire.change_request import ChangeRolloutSchema
from functions.wire.gate import GatePreviewEntrySchema, GatePreviewRequestSchema, GatePreviewSchema
from functions.wire.rollout import RolloutSchema
from functions.wire.strategy import FailureGateSchema


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


@Route(
    "POST",
    "rollouts/{id}/gate/preview",
    summary="Return what another failure gate would have decided with what happened so far",
    response=GatePreviewSchema,
    body=GatePreviewRequestSchema,
    is_body_required=True,
    parameters=(ROLLOUT_ID,),
    problems=(400, 404, 411, 413, 415, 422, 503),
)
def preview_failure_gate(request: HttpRequest) -> HttpResponse:
    body = gate.parse_preview(read_body(request))
    store = wiring.stores().rollouts
    tried, views = preview_gate(store, ROLLOUT_ID.read(request), body.apply)
    shown = GatePreviewSchema.model_construct(
        failure_gate=FailureGateSchema.of(tried),
        gate=[GatePreviewEntrySchema.of(item) for item in views],
    )
    return json_response(shown)
