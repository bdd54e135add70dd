"""A whole rehearsal: a rollout's request, a pretended fleet and hub, and how it ends.

No person is there to resume or approve: it stops where a rollout would wait for one.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollouts import gate, waves
from functions.rollouts.pacing import Quotas
from functions.rollouts.rollout import Rollout, RolloutStatus
from functions.use_cases.create import create
from functions.use_cases.new_rollout import NewRollout
from simulator.fleet.shares import Conduct, Shares
from simulator.rehearsal.cloud import Clock, VirtualCloud
from simulator.rehearsal.fleet import DEFAULT_TIMING, Timing, virtual_fleet
from simulator.rehearsal.hub import VirtualHub
from simulator.rehearsal.report import Outcome
from simulator.rehearsal.timeline import Timeline

# A Tuesday noon, so that windows and days are the same in every rehearsal.
BEGINS = datetime(2026, 12, 1, 12, tzinfo=UTC)
# A rollout that has not ended by then has been forgotten by its people as well.
LONGEST = timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What is rehearsed. `limits` are the hub's quotas with the share that rollouts may use."""

    request: NewRollout
    limits: Quotas
    shares: Shares
    seed: int = 1
    timing: Timing = DEFAULT_TIMING


def rehearse(rehearsal: Rehearsal) -> tuple[Outcome, Timeline]:
    """Run it to its end, to where a person would be asked, or until 400 days after its start.

    Raises InvalidError for a request that a create would refuse.
    """
    with _without_collector():
        begins = rehearsal.request.start_at or BEGINS
        clock = Clock(min(begins, BEGINS))
        fleet = virtual_fleet(
            rehearsal.request.device_ids,
            clock.now,
            rehearsal.seed,
            shares=rehearsal.shares,
            timing=rehearsal.timing,
        )
        hub = VirtualHub(fleet, clock, rehearsal.limits)
        cloud = VirtualCloud(hub, clock, rehearsal.limits, rehearsal.seed)
        rollout_id = create(cloud.services, rehearsal.request, None).rollout.id
        timeline = Timeline(clock.now)
        until = begins + LONGEST

        def watch(rollout: Rollout) -> bool:
            timeline.record(clock.now, rollout)
            return _waits_for_a_person(rollout) or clock.now > until

        rollout = cloud.run(rollout_id, watch)
        overshoot = _overshoot(cloud, rollout, hub)
        outcome = Outcome(
            rollout=rollout, started=hub.started, overshoot=overshoot, operations=hub.operations
        )
    return outcome, timeline


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


def _waits_for_a_person(rollout: Rollout) -> bool:
    """Paused and nothing under way any more, or asking for an approval."""
    counts = rollout.counts
    if counts.updating or counts.soaking:
        return False
    if rollout.status is RolloutStatus.PAUSED:
        return True
    return rollout.status is RolloutStatus.RUNNING and waves.awaiting_approval(rollout) is not None


def _overshoot(cloud: VirtualCloud, rollout: Rollout, hub: VirtualHub) -> int:
    """Devices that were asked after the devices' own ends had proved the firmware bad.

    Proved is what the gate would have said to somebody who saw every end the moment it happened.
    A rollout that its gate did not stop has none.
    """
    reason = rollout.status_reason
    if reason is None or reason.code != gate.CODE:
        return 0
    asked = [item for item in cloud.updates(rollout.id) if item.dispatched_at is not None]
    ends = [
        (hub.devices[item.device_id].latest, item.wave, hub.devices[item.device_id])
        for item in asked
    ]
    known = sorted(
        (run.ends_at, wave, device.conduct is Conduct.FAILING)
        for run, wave, device in ends
        if run is not None
    )
    proved = _proved_at(rollout, known)
    if proved is None:
        return 0
    return sum(
        item.dispatched_at is not None and item.dispatched_at.timestamp() > proved for item in asked
    )


def _proved_at(rollout: Rollout, ends: list[tuple[float, int, bool]]) -> float | None:
    tallies = [[0, 0] for _ in rollout.waves]
    for at, wave, failed in ends:
        tallies[wave][0 if failed else 1] += 1
        bad, good = tallies[wave]
        limits = rollout.strategy.failure_gate
        if failed and gate.judge(limits, bad, good) is gate.Verdict.BREACHED:
            return at
    return None


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of records without a cycle among them: looking for some is a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
