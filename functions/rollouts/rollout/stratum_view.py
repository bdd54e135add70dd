"""Describe the strata of a rollout: what is known of each, and whether the gate can judge it."""

from collections.abc import Sequence

from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stratum_view import StratumStatus, StratumView
from functions.rollouts.rollout import frozen, gate


def view_strata(rollout: Rollout) -> Sequence[StratumView]:
    """Return the strata that are judged, most devices first."""
    limits = gate.limits_of_strata(rollout)
    found: list[StratumView] = []
    for number, judged in enumerate(rollout.stratum_gates):
        counts, freeze = frozen.stratum_counts(rollout, number), judged.frozen
        rollback = freeze.rollback if freeze else None
        is_small = gate.failures_to_breach(limits, counts.eligible) is None
        status = StratumStatus.TOO_SMALL if is_small else StratumStatus.JUDGED
        if freeze is not None:
            status = StratumStatus.CANCELLED if freeze.is_cancelled else StratumStatus.FROZEN
        found.append(
            StratumView(
                name=rollout.strata[number],
                size=counts.total,
                status=status,
                counts=counts,
                reason=freeze.reason if freeze else None,
                frozen_at=freeze.at if freeze else None,
                rolled_back_by=rollback.rollback_id if isinstance(rollback, RolledBack) else None,
            )
        )
    return found
