"""The failure gate of a rollout in responses."""

from collections.abc import Sequence
from typing import Self

from functions.rollouts.model.rollout import Rollout
from functions.wire.fields import Count, Time
from functions.wire.schema import Schema


class GateViewSchema(Schema):
    """How far the gate is from its decisions on one open wave, or on one stratum.

    `counted_since` is when a resume acknowledged the failures before; null: it counts all.
    """

    wave: str | None
    stratum: str | None
    failed: Count
    healthy: Count
    in_flight: Count
    ratio: float
    threshold: float
    failures_to_breach: Count
    healthy_to_acceptable: Count
    counted_since: Time | None


class GateStepSchema(Schema):
    """The ratio of a wave, or of a stratum over all waves, after it has changed.

    `failed` and `threshold` are those of then; null: the step is of an earlier release.
    """

    at: Time
    wave: str | None
    stratum: str | None
    ratio: float
    failed: Count | None
    threshold: float | None

    @classmethod
    def list_of(cls, rollout: Rollout) -> Sequence[Self]:
        """Return the steps of a rollout, oldest first."""
        return [
            cls.of(
                step,
                wave=None if step.wave is None else rollout.waves[step.wave].name,
                stratum=None if step.stratum is None else rollout.strata[step.stratum],
            )
            for step in rollout.gate_history
        ]
