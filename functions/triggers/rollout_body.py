"""The bodies of responses that show a rollout, with what is computed of its gate and strata."""

from collections.abc import Sequence
from dataclasses import replace

from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.gate_view import view
from functions.rollouts.rollout.stratum_view import view_strata
from functions.use_cases.create import Creation
from functions.wire.gate_view import GateStepSchema
from functions.wire.rollout import RolloutSchema


def show_rollout(rollout: Rollout, device_ids: Sequence[str] | None = None) -> RolloutSchema:
    """Return a rollout; `device_ids` are those of a short list, or None."""
    return RolloutSchema.of(rollout, device_ids, (), view_strata(rollout), view(rollout))


def show_rollout_with_history(
    rollout: Rollout, failures: Sequence[FailureCount], device_ids: Sequence[str] | None = None
) -> RolloutSchema:
    """Return a rollout with its failures, and with how the ratios of its gate have moved."""
    known = replace(rollout, failures=tuple(failures))
    history = GateStepSchema.list_of(rollout)
    return RolloutSchema.of(
        known, device_ids, (), view_strata(rollout), view(rollout), gate_history=history
    )


def show_created(created: Creation) -> RolloutSchema:
    """Return a rollout that was created by this request."""
    rollout = created.rollout
    shown = view_strata(rollout), view(rollout)
    return RolloutSchema.of_new(rollout, created.updates, created.warnings, *shown)
