"""Read the devices of one rollout that are due, then lease those that may start: a tick's work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import batched

from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.rollout import (
    breaker,
    control_group,
    daily_quota,
    ready_devices,
    starts,
)
from functions.rollouts.rollout.outage_chance import Control
from functions.use_cases import control_groups, failure_search
from functions.use_cases.commit import Change, commit
from functions.use_cases.failure_search import NOTHING_FOUND, Found
from functions.use_cases.hub_watch import HubWatch
from functions.use_cases.observe import (
    NOTHING,
    Observations,
    apply_observations,
    drop_taken_over,
    observe_due,
)
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the devices of some blocks."""

    blocks: Sequence[int]  # the numbers of the blocks
    observations: Observations
    controls: Sequence[Control]  # control groups of devices that are about to fail as unreachable

    def apply(self, moment: Moment, stored: Snapshot) -> Change:
        """Apply what was read; mark the devices that need not wait any longer as ready."""
        rollout = control_group.judge(stored.rollout, self.controls, moment.now)
        moment, changed = replace(moment, rollout=rollout), {}
        observe = partial(apply_observations, moment, observations=self.observations)
        for number in self.blocks:
            block = stored.blocks[number]
            after = block.apply(observe, self.observations.find_read(block.updates))
            if after is not block:
                changed[number] = after
            rollout = ready_devices.mark_ready(moment, rollout, after)
        return Change(rollout, changed, self.blocks)


def follow_late_devices(
    services: Services, snapshot: Snapshot, budget: TickBudget, hub: HubWatch
) -> None:
    """Observe the failed devices of a rollout that is over, which may complete late."""
    due = attention.due_blocks(snapshot.rollout, services.clock())[:MAX_BLOCKS_PER_SAVE]
    if due and budget.may_observe(under_way=False) and not hub.is_refused:
        _observe(services, snapshot, due, budget, hub)


def observe_and_lease(
    services: Services, snapshot: Snapshot, budget: TickBudget, hub: HubWatch, *, whole: bool
) -> tuple[HubLoad, Sequence[Lease]]:
    """Read the due blocks in parts, those with failures first; lease when all are read.

    Return the load since the last tick, and the new leases.
    """
    found = failure_search.find(services, snapshot, budget)
    due = attention.due_blocks(snapshot.rollout, services.clock())
    due = list(dict.fromkeys([*found.blocks, *due]))[: attention.MAX_DUE_BLOCKS]
    if not budget.may_observe(under_way=True):
        due = []
    parts = [list(part) for part in batched(due, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    for part in parts[:-1]:
        snapshot = _observe(services, snapshot, part, budget, hub, found=found)
    snapshot, load, leases = _observe_and_lease(
        services, snapshot, parts[-1], budget, hub, found=found, whole=whole
    )
    leased = sum(len(lease.devices) for lease in leases)
    services.searches.record_leases(snapshot.rollout, leased, services.clock())
    _deduct(budget, snapshot, load, leases)
    return load, leases


def _observe(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    budget: TickBudget,
    hub: HubWatch,
    *,
    found: Found = NOTHING_FOUND,
) -> Snapshot:
    """Read the devices of the due blocks, and those of `found`, whether they are due or not."""
    snapshot, read = _read(services, snapshot, due, budget, hub, found=found)
    snapshot = commit(services, snapshot, read.apply, due)
    failure_search.record_read(services, snapshot, due, read.observations, found)
    return snapshot


def _observe_and_lease(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    budget: TickBudget,
    hub: HubWatch,
    *,
    found: Found,
    whole: bool,
) -> tuple[Snapshot, HubLoad, Sequence[Lease]]:
    """Do what `_observe` does, and lease the devices that may start, in one write.

    The write also moves the load out of the stored rollout, so that each load is counted once.
    """
    max_starts = budget.max_starts(snapshot.rollout)
    whole = whole and max_starts >= min(budget.starts, starts.MAX_BATCH)
    began_at = services.clock()
    snapshot, read = _read(services, snapshot, due, budget, hub, found=found)
    load, leases = HubLoad(), tuple[Lease, ...]()

    def decide(moment: Moment, stored: Snapshot) -> Change:
        nonlocal load, leases
        change = read.apply(moment, stored)
        load = stored.rollout.measured.hub_load
        health = hub.judge(load, moment.now)
        rollout = breaker.show(change.rollout.with_hub_load(HubLoad()), health, moment.now)
        rollout = daily_quota.show(rollout, budget.day, services.limits, moment.now)
        limit = breaker.max_starts(health, moment.now)
        room = int(max_starts) if limit is None else min(int(max_starts), limit)
        whole_only = whole and limit is None
        rollout, leases = starts.lease_batches(rollout, moment.now, room, whole=whole_only)
        return replace(change, rollout=rollout)

    snapshot = commit(services, snapshot, decide, due)
    failure_search.record_read(services, snapshot, due, read.observations, found)
    hub.accept(load, sum(len(lease.devices) for lease in leases), began_at)
    if snapshot.rollout.freeze is not None and snapshot.rollout.freeze.freezes_some(began_at):
        budget.queries -= len(leases)  # each batch evaluates the freeze's condition
    return snapshot, load, leases


def _read(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    budget: TickBudget,
    hub: HubWatch,
    *,
    found: Found,
) -> tuple[Snapshot, _Read]:
    """Read due devices and those of `found`. Return the snapshot with the blocks, and the rest."""
    snapshot = services.latest.with_blocks(services.stores.rollouts, snapshot, due)
    moment = services.moment(snapshot.rollout)
    updates = [update for number in due for update in snapshot.blocks[number].updates]
    observations = NOTHING
    if updates:
        observations = observe_due(services.hub, moment, updates, budget, found.device_ids)
    has_read = observations is not NOTHING
    observations = drop_taken_over(services.stores.locks, moment, updates, observations)
    controls = control_groups.compare(services, snapshot, due, observations, hub)
    hub.record_read(has_read=has_read)  # a hub that fails the comparison alone fails, too
    budget.queries -= bool(controls) + any(item.fleet is not None for item in controls)
    return snapshot, _Read(due, observations, controls)


def _deduct(budget: TickBudget, snapshot: Snapshot, load: HubLoad, leases: Sequence[Lease]) -> None:
    """Deduct the new leases, and what requests have spent since the last tick."""
    rollout = snapshot.rollout
    for lease in leases:
        budget.deduct_batch(rollout, len(lease.devices), single=rollout.needs_fresh_twins)
    budget.starts -= load.starts
    budget.queries -= load.queries
    budget.needed += daily_quota.reserve(rollout, budget.costs)
