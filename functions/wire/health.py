"""The health of the app in responses."""

from typing import Annotated, Literal

from pydantic import Field

from functions.last_calls import PartState
from functions.version import APP_VERSION
from functions.wire.problem import ProblemSchema
from functions.wire.schema import Schema

Age = Annotated[
    int | None,
    Field(ge=0, description="Whole seconds since it was last seen; null: not by this process."),
]


class HealthPartsSchema(Schema):
    """Whether the hub and the storage account respond; `unknown`: not called for five minutes."""

    response_name = "HealthParts"

    hub: PartState
    storage: PartState


class HealthAgesSchema(Schema):
    """How old the observations are: the last calls to the parts, and the timer's last run."""

    response_name = "HealthAges"

    hub: Age
    storage: Age
    tick: Age


class HealthSchema(Schema):
    """The health of an app of whose parts none is known to fail."""

    status: Literal["healthy"] = "healthy"
    version: str = APP_VERSION
    parts: HealthPartsSchema
    ages: HealthAgesSchema


class HealthProblemSchema(ProblemSchema):
    """The problem details of an app whose hub or storage account does not respond."""

    response_name = "HealthProblem"

    version: str = APP_VERSION
    parts: HealthPartsSchema
    ages: HealthAgesSchema
