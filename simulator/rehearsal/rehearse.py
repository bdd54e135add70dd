"""A whole rehearsal: a rollout's request, a pretended fleet and hub, and how it ends.

No person is there to resume or approve: it stops where a rollout would wait for one.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import waves
from functions.rollouts.rollout.pacing import Quotas
from functions.use_cases.create import create
from simulator.rehearsal.outcome import Outcome
from simulator.rehearsal.overshoot import overshoot
from simulator.rehearsal.timeline import Timeline
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_fleet import virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Shares

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


def rehearse(rehearsal: Rehearsal) -> tuple[Outcome, Timeline]:
    """Run it to its end, to where a person would be asked, or until 400 days after its start.

    Raises InvalidError for a request that a create would refuse.
    """
    with _without_collector():
        begins = rehearsal.request.start_at or BEGINS
        clock = VirtualClock(min(begins, BEGINS))
        fleet = virtual_fleet(
            rehearsal.request.device_ids,
            clock.now,
            rehearsal.seed,
            shares=rehearsal.shares,
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
        outcome = Outcome(
            rollout=rollout,
            started=hub.started,
            overshoot=overshoot(rollout, cloud.updates(rollout_id), hub.devices),
            operations=hub.operations,
        )
    return outcome, timeline


def _waits_for_a_person(rollout: Rollout) -> bool:
    """Paused and nothing under way any more, or asking for an approval."""
    counts = rollout.counts
    if counts.updating or counts.soaking:
        return False
    if rollout.status is RolloutStatus.PAUSED:
        return True
    return rollout.status is RolloutStatus.RUNNING and waves.awaiting_approval(rollout) is not None


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
