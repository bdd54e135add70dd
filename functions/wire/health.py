"""The health of the app in responses."""

from typing import Literal

from functions.wire.problem import ProblemSchema
from functions.wire.schema import Schema

PartState = Literal["ok", "failing"]


class HealthPartsSchema(Schema):
    """Whether the hub and the storage account respond."""

    response_name = "HealthParts"

    hub: PartState
    storage: PartState


class HealthSchema(Schema):
    """The health of an app whose hub and storage account respond."""

    status: Literal["healthy"] = "healthy"
    parts: HealthPartsSchema


class HealthProblemSchema(ProblemSchema):
    """The problem details of an app whose hub or storage account does not respond."""

    response_name = "HealthProblem"

    parts: HealthPartsSchema
