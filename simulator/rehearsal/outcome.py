"""The outcome of a rehearsal, and its JSON."""

from dataclasses import asdict, dataclass
from typing import Any

from functions.rollouts.model.rollout import Rollout
from simulator.rehearsal.meter import Operations
from simulator.rehearsal.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a rehearsal ended."""

    rollout: Rollout
    started: int
    """Number of updates that devices began."""
    overshoot: int
    """Devices that were started after enough devices had failed to breach the gate; 0 if the gate
    did not stop the rollout."""
    operations: Operations


def to_json(outcome: Outcome, timeline: Timeline) -> dict[str, Any]:
    """Return the outcome as `rehearse --json` prints it."""
    rollout = outcome.rollout
    reason = rollout.status_reason
    operations = outcome.operations
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
            "methods": operations.methods,
            "twinReads": operations.twin_reads,
            "twinUpdates": operations.twin_updates,
            "queries": operations.queries,
            "messages": operations.messages,
        },
    }


def _counts(rollout: Rollout) -> dict[str, int]:
    counts = asdict(rollout.counts)
    counts["updating"] += counts.pop("soaking")
    return counts
