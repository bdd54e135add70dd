"""The failure gate of a rollout in responses."""

from functions.wire.fields import Count
from functions.wire.schema import Schema


class GateViewSchema(Schema):
    """How far the gate is from its decisions on one open wave, or on one stratum."""

    wave: str | None
    stratum: str | None
    failed: Count
    healthy: Count
    in_flight: Count
    ratio: float
    threshold: float
    failures_to_breach: Count
    healthy_to_acceptable: Count
