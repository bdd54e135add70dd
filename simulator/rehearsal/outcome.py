"""How a rehearsal ended, as a record and as JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from functions.rollouts.model.rollout import Rollout
from simulator.rehearsal.meter import Operations
from simulator.rehearsal.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a rehearsal ended.

    `started` is how many updates devices really began, `overshoot` how many devices were asked
    after the devices' own ends had proved the firmware bad; 0 if no gate stopped the rollout.
    """

    rollout: Rollout
    started: int
    overshoot: int
    operations: Operations


def as_json(outcome: Outcome, timeline: Timeline) -> dict[str, Any]:
    """The outcome as the contract names it (section 1, `rehearse`)."""
    rollout = outcome.rollout
    reason = rollout.status_reason
    spent = outcome.operations
    return {
        "status": rollout.status.value,
        "statusReason": {"code": reason.code, "message": reason.message} if reason else None,
        "counts": {**_counts(rollout), "total": rollout.total},
        "waves": [
            {
                "name": wave.name,
                "size": wave.size,
                "status": wave.status.value,
                "completed": wave.counts.completed,
                "failed": wave.counts.failed,
            }
            for wave in rollout.waves
        ],
        "seconds": timeline.seconds,
        "started": outcome.started,
        "overshoot": outcome.overshoot,
        "hubOperations": {
            "methods": spent.methods,
            "twinReads": spent.twin_reads,
            "twinUpdates": spent.twin_updates,
            "queries": spent.queries,
            "messages": spent.messages,
        },
    }


def _counts(rollout: Rollout) -> dict[str, int]:
    counts = asdict(rollout.counts)
    counts["updating"] += counts.pop("soaking")
    return counts
