"""Rehearse a rollout from its request to its end, with a virtual fleet and hub.

A rehearsal never resumes, approves or retries. It stops where a rollout would wait for an operator.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import waves
from functions.use_cases.create import create
from simulator.rehearsal.outages import Outage
from simulator.rehearsal.outcome import Outcome, count_strata, locate_outages
from simulator.rehearsal.overshoot import count_overshoot
from simulator.rehearsal.strata import Stratum
from simulator.rehearsal.timeline import Timeline
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_fleet import DEFAULT_TIMING, Timing, virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Shares

# Noon on a Tuesday, so that windows and daily quotas begin alike in every rehearsal.
BEGINS = datetime(2026, 12, 1, 12, tzinfo=UTC)
# Virtual devices and quotas count seconds since 1970.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# Ends the rehearsal of a rollout that would never end by itself.
MAX_LENGTH = timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What to rehearse."""

    request: NewRollout
    limits: Quotas
    """The hub's quotas, with the share that rollouts may use."""
    shares: Shares
    """The share of the devices with each fault."""
    timing: Timing = DEFAULT_TIMING
    strata: tuple[Stratum, ...] = ()
    """Strata of the fleet; empty: its devices have none."""
    outages: tuple[Outage, ...] = ()
    """Times without connection, counted from the start of the rollout."""
    seed: int = 1


def rehearse(rehearsal: Rehearsal) -> tuple[Outcome, Timeline]:
    """Run a rollout until it ends, waits for an operator, or MAX_LENGTH after its start.

    Raises InvalidError for a request that POST /rollouts would reject.
    """
    with _without_garbage_collector():
        begins = max(rehearsal.request.start_at or BEGINS, _EARLIEST)
        clock = VirtualClock(min(begins, BEGINS))
        fleet = virtual_fleet(
            rehearsal.request.device_ids,
            begins,
            rehearsal.seed,
            shares=rehearsal.shares,
            timing=rehearsal.timing,
            planned_strata=rehearsal.strata,
            planned_outages=rehearsal.outages,
        )
        hub = VirtualHub(fleet, clock, rehearsal.limits)
        cloud = VirtualCloud(hub, clock, rehearsal.limits, rehearsal.seed)
        rollout_id = create(cloud.services, rehearsal.request, None).rollout.id
        timeline = Timeline(clock.now)
        until = begins + MAX_LENGTH

        def record(rollout: Rollout) -> bool:
            timeline.record(clock.now, rollout)
            return _waits_for_operator(rollout) or clock.now > until

        rollout = cloud.run(rollout_id, record)
        updates = cloud.updates(rollout_id)
        outcome = Outcome(
            rollout=rollout,
            started=hub.started,
            overshoot=count_overshoot(rollout, updates, hub.devices),
            operations=hub.operations,
            strata=count_strata(rollout, updates, hub.devices) if rehearsal.strata else (),
            outages=locate_outages(
                rehearsal.outages, begins - timeline.begins, fleet, rehearsal.seed
            ),
        )
    return outcome, timeline


def _waits_for_operator(rollout: Rollout) -> bool:
    """Return whether nothing is under way and the rollout is paused or needs an approval."""
    counts = rollout.counts
    if counts.updating or counts.soaking:
        return False
    if rollout.status is RolloutStatus.PAUSED:
        return True
    return rollout.status is RolloutStatus.RUNNING and waves.awaiting_approval(rollout) is not None


@contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """Turn off the search for cycles: a third of the time, over millions of records without one."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
