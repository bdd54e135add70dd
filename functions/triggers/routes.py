"""The routes of the API as its description names them; a test holds the functions to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.triggers.query import PAGE_AT_MOST, PAGE_DEFAULT
from functions.wire import schemas
from functions.wire.command_request import RetrySteeringRequest, SteeringRequest
from functions.wire.create_request import CreateRollout

WAIT_AT_MOST_SECONDS = 60
KEY_CHARACTERS_AT_MOST = 255


@dataclass(frozen=True, slots=True)
class Parameter:
    """`where` is path, query or header."""

    name: str
    where: str
    schema: Mapping[str, Any]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`good` are statuses with `answer` as JSON, `problems` those with `problem`.

    An `answer` of None is JSON that is described elsewhere.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    parameters: Sequence[Parameter] = ()
    good: Sequence[int] = (200,)
    problems: Sequence[int] = (503,)
    problem: type[BaseModel] = schemas.Problem
    open_to_all: bool = False


_ROLLOUT = Parameter("id", "path", {"type": "string"}, "A rollout's id.")
_DEVICE = Parameter(
    "deviceId", "path", {"type": "string"}, "Escaped twice where it holds % and a slash escape."
)
_CURSOR = Parameter("cursor", "query", {"type": "string", "minLength": 1}, "From a nextLink.")
_LIMIT = Parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": PAGE_AT_MOST, "default": PAGE_DEFAULT},
)
_PAGE = (_LIMIT, _CURSOR)
_KEY = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_AT_MOST},
    "The same key and body make one rollout.",
)
_WAIT = Parameter(
    "waitSeconds",
    "query",
    {"type": "integer", "minimum": 0, "maximum": WAIT_AT_MOST_SECONDS, "default": 0},
    "Answer as soon as the rollout is over, or after that time.",
)
_COMMANDS = {
    "pause": ("pause_rollout", "Start nothing more; what has started goes on"),
    "resume": ("resume_rollout", "Go on; after a breach, known failures are waived"),
    "cancel": ("cancel_rollout", "Cancel what has not started"),
    "approve": ("approve_rollout", "Open the wave that waits for approval"),
    "retry": ("retry_rollout", "Queue the failed devices again; the package may have moved"),
}


def _word(name: str, words: Sequence[str]) -> Parameter:
    return Parameter(name, "query", {"type": "string", "enum": list(words)})


def _command(word: str, name: str, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"rollouts/{{id}}/{word}",
        name=name,
        summary=summary,
        answer=schemas.RolloutAnswer,
        body=RetrySteeringRequest if word == "retry" else SteeringRequest,
        parameters=(_ROLLOUT,),
        problems=(400, 404, 409, 413, 422, 503),
    )


ROUTES: Sequence[Route] = (
    Route(
        method="POST",
        path="rollouts",
        name="create_rollout",
        summary="Create a rollout; 200 is the repeat of an Idempotency-Key",
        answer=schemas.RolloutAnswer,
        body=CreateRollout,
        parameters=(_KEY,),
        good=(200, 201),
        problems=(400, 409, 413, 422, 503),
    ),
    Route(
        method="GET",
        path="rollouts",
        name="list_rollouts",
        summary="List rollouts, newest first",
        answer=schemas.RolloutsAnswer,
        parameters=(_word("status", list(RolloutStatus)), *_PAGE),
        problems=(422, 503),
    ),
    Route(
        method="POST",
        path="rollouts/plan",
        name="plan_rollout",
        summary="What a rollout would do, without doing it",
        answer=schemas.PlanAnswer,
        body=CreateRollout,
        problems=(400, 413, 422, 503),
    ),
    Route(
        method="GET",
        path="rollouts/{id}",
        name="get_rollout",
        summary="One rollout",
        answer=schemas.RolloutAnswer,
        parameters=(_ROLLOUT, _WAIT),
        problems=(404, 422, 503),
    ),
    Route(
        method="GET",
        path="rollouts/{id}/devices",
        name="list_device_updates",
        summary="The rollout's device updates, in the order of the start",
        answer=schemas.DeviceUpdatesAnswer,
        parameters=(_ROLLOUT, _word("state", list(DeviceState)), *_PAGE),
        problems=(404, 422, 503),
    ),
    Route(
        method="GET",
        path="rollouts/{id}/devices/{deviceId}",
        name="get_device_update",
        summary="One device update with its history, and why it is where it is",
        answer=schemas.DeviceUpdateInFullAnswer,
        parameters=(_ROLLOUT, _DEVICE),
        problems=(404, 503),
    ),
    Route(
        method="GET",
        path="rollouts/{id}/events",
        name="list_events",
        summary="The audit trail, oldest first",
        answer=schemas.EventsAnswer,
        parameters=(_ROLLOUT, *_PAGE),
        problems=(404, 422, 503),
    ),
    *(_command(word, name, summary) for word, (name, summary) in _COMMANDS.items()),
    Route(
        method="POST",
        path="rollouts/{id}/rollback",
        name="roll_back_rollout",
        summary="Bring each completed device back to what it ran before, as a new rollout",
        answer=schemas.RolloutAnswer,
        body=SteeringRequest,
        parameters=(_ROLLOUT,),
        good=(201,),
        problems=(400, 404, 409, 413, 422, 503),
    ),
    Route(
        method="GET",
        path="devices/{deviceId}/rollouts",
        name="list_device_history",
        summary="The rollouts that a device took part in, newest first",
        answer=schemas.DeviceHistoriesAnswer,
        parameters=(_DEVICE, *_PAGE),
        problems=(422, 503),
    ),
    Route(
        method="GET",
        path="health",
        name="get_health",
        summary="Whether hub and storage answer",
        answer=schemas.HealthAnswer,
        problem=schemas.HealthProblem,
        open_to_all=True,
    ),
    Route(
        method="GET",
        path="openapi.json",
        name="get_openapi",
        summary="This description",
        answer=None,
        problems=(),
    ),
)
