"""A plan in responses."""

from functions.wire.fields import Count, Duration
from functions.wire.schema import Schema


class PlannedWaveSchema(Schema):
    """A wave as it would be."""

    name: str
    size: Count
    approval: bool


class ConflictSchema(Schema):
    """An open rollout that has devices of the target, and some of them as examples."""

    rollout_id: str
    devices: Count
    examples: list[str]


class PlanWarningSchema(Schema):
    """Something that the caller may not expect; `count` is of what the message is about."""

    code: str
    message: str
    count: Count


class PlanSchema(Schema):
    """What a rollout would do; `exact` is false where `devices` is the hub's count.

    `superseded` devices are queued in open rollouts, which will skip them. `already_running` and
    `downgrades` are null for a list that is too long to look its versions up.
    """

    devices: Count
    exact: bool
    waves: list[PlannedWaveSchema]
    conflicts: list[ConflictSchema]
    superseded: Count
    expected_duration: Duration
    quota_minimum_seconds: float
    limited_by: str
    hub_messages: Count
    plan_hash: str
    warnings: list[PlanWarningSchema]
    already_running: Count | None
    downgrades: Count | None
