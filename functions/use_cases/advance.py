"""Advance every open rollout: one tick of the timer.

A tick reads the devices that are due, then leases the devices that may start. Two ticks at once, a
late tick, or a tick after a crash have the effect of one: the first to start takes the budget from
one stored record, and a decision is stored only if its rollout has not changed since it was read.
The cost of a tick depends on what is due, not on the size of the fleet.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import batched

from functions.dispatch_queue.port import Batch
from functions.errors import (
    DailyQuotaError,
    HubUnavailableError,
    LostRaceError,
    NewerSchemaError,
)
from functions.rollout_store.ports.retention import TickWork
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Budget
from functions.rollouts.rollout import (
    breach,
    breaker,
    control_group,
    daily_quota,
    frozen,
    pacing,
    starts,
)
from functions.use_cases import (
    cancel_queued,
    control_groups,
    event_feed,
    failure_search,
    freeze,
    joiners,
    requeue,
    resolve_target,
    retention,
    rollback,
    stratum_commands,
    supersede,
)
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
from functions.use_cases.tick_budget import TickBudget, can_save_batch

# Batches are spread over the time until the next tick, which is assumed to be the time since the
# previous tick; at most the interval of the default schedule.
MAX_SPREAD_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _TakenBudget:
    """What a tick took from the stored budget."""

    budget: Budget
    version: str  # of the stored budget, which is empty now
    spread_seconds: float  # the time until the next tick
    freeze: Freeze | None  # the latest, in force or not; read with the budget


def advance(services: Services, only: str | None = None) -> None:
    """Advance all open rollouts, or `only` the one with this id. Then remove some old ones.

    An error in one rollout is logged, and the others go on. Raises StorageUnavailableError if the
    budget or the list of open rollouts cannot be read.
    """
    work = TickWork(open_ids=[only]) if only else retention.list_work(services)
    if not only:
        event_feed.check_ended(services, work.open_ids)
        services.telemetry.record_open(work.open_ids)
    if work.open_ids:
        _advance_all(services, work.open_ids, are_all=not only)
    if not only:
        retention.remove_expired(services, work)


def _advance_all(services: Services, ids: Sequence[str], *, are_all: bool) -> None:
    taken = _take_budget(services)
    if taken is None:
        return
    budget = TickBudget.from_stored(taken.budget, services.limits)
    hub = HubWatch(taken.budget.health)
    hub.probe_access(services)
    whole = can_save_batch(taken.budget, services.limits, starts.MAX_BATCH)
    load = HubLoad()
    # A random first rollout, so that none is always the last to use the budget.
    first = int(services.jitter() * len(ids)) % len(ids)
    for number, rollout_id in enumerate([*ids[first:], *ids[:first]]):
        share = budget.take_share(1 / (len(ids) - number))
        one = _advance_or_log(services, rollout_id, share, taken, hub=hub, whole=whole)
        load = _add_load(load, one)
        budget.give_back(share)
    usage = load.usage + services.hub.take_usage()
    now = services.clock()
    if not are_all:
        budget.needed += taken.budget.reserved
    left = budget.to_stored(taken.budget, services.limits, usage, now)
    left = replace(left, health=hub.end_tick(now))
    left = pacing.adapt(left, load)
    services.telemetry.record_budget(left, services.limits)
    if not _store_budget(services, left, taken.version):
        services.hub.return_usage(usage)


def _take_budget(services: Services) -> _TakenBudget | None:
    """Take the whole stored budget. Return None if another tick was first."""
    controls, now = freeze.read_controls(services), services.clock()
    stored = controls.budget
    budget = pacing.refill(stored.record if stored else None, services.limits, now)
    since = (now - stored.record.at).total_seconds() if stored else MAX_SPREAD_SECONDS
    try:
        version = services.stores.budget.save(
            pacing.empty(budget), stored.version if stored else None
        )
    except LostRaceError:
        _log.info("another tick took the budget; this tick does nothing")
        return None
    return _TakenBudget(budget, version, min(since, MAX_SPREAD_SECONDS), controls.freeze)


def _store_budget(services: Services, budget: Budget, version: str) -> bool:
    """Store what is left of the budget. Return False if another tick has begun."""
    try:
        services.stores.budget.save(budget, version)
    except LostRaceError:
        _log.info("the next tick began before this one ended; the rest of its budget is dropped")
        return False
    return True


def _add_load(one: HubLoad, other: HubLoad) -> HubLoad:
    """Add what the hub's speed is judged by. Starts and queries are deducted per rollout."""
    return HubLoad(
        methods=one.methods + other.methods,
        throttled=one.throttled + other.throttled,
        seconds=max(one.seconds, other.seconds),
        usage=one.usage + other.usage,
    )


def _advance_or_log(
    services: Services,
    rollout_id: str,
    budget: TickBudget,
    taken: _TakenBudget,
    *,
    hub: HubWatch,
    whole: bool,
) -> HubLoad:
    """Advance one rollout and queue its batches. Return its load; log an error."""
    load = HubLoad()
    try:
        load, leases = _advance_one(services, rollout_id, budget, taken.freeze, hub, whole=whole)
        _queue_batches(services, rollout_id, leases, taken.spread_seconds)
    except HubUnavailableError as error:
        _log.warning("rollout %s: the hub is unavailable in this tick: %s", rollout_id, error)
        if isinstance(error, DailyQuotaError):  # the hub works; the next tick says that it waits
            return load
        load = replace(load, throttled=load.throttled + 1)
        hub.record_failed_read(services, rollout_id, error)
    except NewerSchemaError as error:
        _log.warning("rollout %s: left to hosts of the newer release: %s", rollout_id, error)
    except LostRaceError as error:
        _log.warning("rollout %s: the next tick continues: %s", rollout_id, error)
    except Exception:  # noqa: BLE001 - an error of any kind must not stop the other rollouts
        _log.exception("rollout %s: this tick failed", rollout_id)
    return load


def _advance_one(
    services: Services,
    rollout_id: str,
    budget: TickBudget,
    latest: Freeze | None,
    hub: HubWatch,
    *,
    whole: bool,
) -> tuple[HubLoad, Sequence[Lease]]:
    """Advance one rollout. Return the load since the last tick, and the new leases."""
    snapshot = services.stores.rollouts.get(rollout_id)
    if snapshot is None:  # the rollout is being created, or its creation crashed
        retention.abandon(services, rollout_id)
        return HubLoad(), ()
    event_feed.check_open(services, snapshot.rollout)
    services.telemetry.record_read(snapshot.rollout)
    if snapshot.rollout.is_over and snapshot.rollout.is_followed:
        return _follow_late_devices(services, snapshot, budget, hub)
    if snapshot.rollout.is_over:  # a crash left it in the list of open rollouts
        services.stores.rollouts.save(snapshot, snapshot.rollout)
        return HubLoad(), ()
    snapshot = freeze.learn(services, snapshot, latest)
    if not hub.is_refused:
        snapshot = _find_devices(services, snapshot, budget)
    if snapshot.rollout.resolution is not None or snapshot.rollout.is_over:
        return HubLoad(), ()
    snapshot = cancel_queued.cancel_queued_devices(services, snapshot)
    snapshot = requeue.continue_retry(services, snapshot)
    snapshot = supersede.skip_superseded(services, snapshot)
    if hub.is_refused:
        hub.show_refusal(services, snapshot)
        return HubLoad(), ()
    snapshot = _create_rollbacks(services, snapshot)
    return _observe_and_lease(services, snapshot, budget, hub, whole=whole)


def _create_rollbacks(services: Services, snapshot: Snapshot) -> Snapshot:
    """Create the rollbacks that were decided."""
    if breach.can_begin_rollback(snapshot.rollout, services.clock()):
        snapshot = rollback.create_due(services, snapshot)
    if frozen.has_due_rollback(snapshot.rollout):
        snapshot = stratum_commands.create_due(services, snapshot)
    return snapshot


def _find_devices(services: Services, snapshot: Snapshot, budget: TickBudget) -> Snapshot:
    """Continue resolving the target; once it is resolved, search for late joiners."""
    if snapshot.rollout.resolution is not None:
        snapshot = resolve_target.continue_resolution(services, snapshot, budget)
    if snapshot.rollout.resolution is not None or snapshot.rollout.is_over:
        return snapshot
    return joiners.take_joiners(services, snapshot, budget)


def _follow_late_devices(
    services: Services, snapshot: Snapshot, budget: TickBudget, hub: HubWatch
) -> tuple[HubLoad, Sequence[Lease]]:
    """Observe the failed devices of a rollout that is over, which may complete late."""
    due = attention.due_blocks(snapshot.rollout, services.clock())[:MAX_BLOCKS_PER_SAVE]
    if due and budget.may_observe(under_way=False) and not hub.is_refused:
        _observe_blocks(services, snapshot, due, budget, hub, max_starts=None, whole=False)
    return HubLoad(), ()


def _observe_and_lease(
    services: Services, snapshot: Snapshot, budget: TickBudget, hub: HubWatch, *, whole: bool
) -> tuple[HubLoad, Sequence[Lease]]:
    """Read the due blocks in parts, those with failures first; lease when all are read."""
    found = failure_search.find(services, snapshot, budget)
    due = attention.due_blocks(snapshot.rollout, services.clock())
    due = list(dict.fromkeys([*found.blocks, *due]))[: attention.MAX_DUE_BLOCKS]
    if not budget.may_observe(under_way=True):
        due = []
    parts = [list(part) for part in batched(due, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    for part in parts[:-1]:
        snapshot, _, _ = _observe_blocks(
            services, snapshot, part, budget, hub, max_starts=None, whole=whole, found=found
        )
    snapshot, load, leases = _observe_blocks(
        services,
        snapshot,
        parts[-1],
        budget,
        hub,
        max_starts=budget.max_starts(snapshot.rollout),
        whole=whole and budget.max_starts(snapshot.rollout) >= min(budget.starts, starts.MAX_BATCH),
        found=found,
    )
    leased = sum(len(lease.devices) for lease in leases)
    services.searches.record_leases(snapshot.rollout, leased, services.clock())
    budget.starts -= load.starts
    budget.queries -= load.queries
    budget.needed += daily_quota.reserve(snapshot.rollout, budget.costs)
    return load, leases


def _observe_blocks(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    budget: TickBudget,
    hub: HubWatch,
    *,
    max_starts: float | None,
    whole: bool,
    found: Found = NOTHING_FOUND,
) -> tuple[Snapshot, HubLoad, Sequence[Lease]]:
    """Read the devices of the due blocks; with `max_starts`, lease devices that may start.

    Devices of `found` are read too, whether they are due or not.

    Leasing also moves the load out of the stored rollout, so that each load is counted once.
    """
    snapshot = services.latest.with_blocks(services.stores.rollouts, snapshot, due)
    moment = services.moment(snapshot.rollout)
    updates = [update for number in due for update in snapshot.blocks[number].updates]
    noticed = found.device_ids
    observations = (
        observe_due(services.hub, moment, updates, budget, noticed) if updates else NOTHING
    )
    hub.record_read(has_read=observations is not NOTHING)
    observations = drop_taken_over(services.stores.locks, moment, updates, observations)
    controls = control_groups.compare(services, snapshot, due, observations, hub)
    budget.queries -= bool(controls)
    load, leases = HubLoad(), tuple[Lease, ...]()

    def decide(moment: Moment, stored: Snapshot) -> Change:
        nonlocal load, leases
        judged = control_group.judge(stored.rollout, controls, moment.now)
        moment, stored = replace(moment, rollout=judged), replace(stored, rollout=judged)
        change = _apply_to_blocks(moment, stored, due, observations)
        if max_starts is None:
            return change
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
    failure_search.record_read(services, snapshot, due, observations, found)
    if max_starts is not None:
        sent = sum(len(lease.devices) for lease in leases)
        hub.accept(load, sent, moment.now)
    for lease in leases:
        budget.deduct_batch(
            snapshot.rollout, len(lease.devices), single=snapshot.rollout.needs_fresh_twins
        )
    if snapshot.rollout.freeze is not None and snapshot.rollout.freeze.freezes_some(moment.now):
        budget.queries -= len(leases)  # each batch evaluates the freeze's condition
    return snapshot, load, leases


def _apply_to_blocks(
    moment: Moment, stored: Snapshot, due: Sequence[int], observations: Observations
) -> Change:
    """Apply what was read to the due blocks, and mark the devices that need not wait as ready."""
    rollout, changed = stored.rollout, {}
    for number in due:
        block = stored.blocks[number]
        after = block.apply(lambda update: apply_observations(moment, update, observations))
        if after is not block:
            changed[number] = after
        rollout = starts.mark_ready(moment, rollout, after)
    return Change(rollout, changed, due)


def _queue_batches(
    services: Services, rollout_id: str, leases: Sequence[Lease], spread_seconds: float
) -> None:
    """Queue a batch per lease, spread evenly over `spread_seconds` to use the quotas evenly."""
    for number, lease in enumerate(leases):
        delay = number * spread_seconds / len(leases)
        batch = Batch(rollout_id, lease.number, lease.block, lease.devices)
        services.queue.put(batch, delay)
