"""One tick of the timer: bring every open rollout to where its devices say it is, and go on.

Two ticks at once, a late one, or one after a crash have the effect of one: whoever is first takes
the hub's quotas from one record, and a decision is stored only if nothing changed meanwhile. The
cost of a tick depends on what is due, never on the size of the fleet.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import batched

from functions.dispatch_queue.port import Batch
from functions.errors import HubUnavailableError, LostRaceError
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Budget
from functions.rollouts.rollout import breach, pacing, starts
from functions.use_cases import cancel_queued, resolve_target, rollback
from functions.use_cases.commit import Change, commit
from functions.use_cases.observe import NOTHING, Observations, follow, observe_due
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget, can_save_batch

# Batches are spread over the time until the next tick, taken to be as long as the time since the
# last one; no longer than the default schedule's interval.
MAX_SPREAD_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Tick:
    """What one tick took from the stored budget."""

    budget: Budget
    version: str  # of the stored budget, emptied
    spread_seconds: float  # the time that the budget is to last


def advance(services: Services, only: str | None = None) -> None:
    """Advance all open rollouts, or one. A failure is logged and does not hold up the others.

    Raises StorageUnavailableError if the rollouts cannot be read.
    """
    ids = [only] if only else services.stores.rollouts.list_open_ids()
    tick = _take_budget(services) if ids else None
    if tick is None:
        return
    left = TickBudget.of(tick.budget, services.limits)
    whole = can_save_batch(tick.budget, services.limits, starts.MAX_BATCH)
    load = HubLoad()
    first = int(services.jitter() * len(ids)) % len(ids)
    for number, rollout_id in enumerate([*ids[first:], *ids[:first]]):
        part = left.take_part(1 / (len(ids) - number))
        load = _sum(load, _advance_safely(services, rollout_id, part, tick, whole=whole))
        left.give_back(part)
    adapted = pacing.adapt(left.left(tick.budget, services.limits), load)
    _give_budget_back(services, adapted, tick.version)


def _take_budget(services: Services) -> _Tick | None:
    """Take all that may be spent now; None if another timer has just taken it."""
    stored, now = services.stores.budget.get(), services.clock()
    budget = pacing.refill(stored.record if stored else None, services.limits, now)
    since = (now - stored.record.at).total_seconds() if stored else MAX_SPREAD_SECONDS
    try:
        version = services.stores.budget.save(
            pacing.empty(budget), stored.version if stored else None
        )
    except LostRaceError:
        _log.info("another timer is at work")
        return None
    return _Tick(budget, version, min(since, MAX_SPREAD_SECONDS))


def _give_budget_back(services: Services, budget: Budget, version: str) -> None:
    try:
        services.stores.budget.save(budget, version)
    except LostRaceError:
        _log.info("this tick lasted until the next one began")


def _sum(one: HubLoad, other: HubLoad) -> HubLoad:
    """Return what the hub's speed is judged by, of two rollouts together."""
    return HubLoad(
        methods=one.methods + other.methods,
        throttled=one.throttled + other.throttled,
        seconds=max(one.seconds, other.seconds),
    )


def _advance_safely(
    services: Services, rollout_id: str, budget: TickBudget, tick: _Tick, *, whole: bool
) -> HubLoad:
    """Advance one rollout and queue its batches. Return what was measured of the hub."""
    load = HubLoad()
    try:
        load, made = _advance(services, rollout_id, budget, whole=whole)
        _put(services, rollout_id, made, tick.spread_seconds)
    except HubUnavailableError as error:
        load = _sum(load, HubLoad(throttled=1))
        _log.warning("rollout %s waits for the hub: %s", rollout_id, error)
    except Exception:  # noqa: BLE001 - whatever it is, the other rollouts go on
        _log.exception("rollout %s could not be advanced in this tick", rollout_id)
    return load


def _advance(
    services: Services, rollout_id: str, budget: TickBudget, *, whole: bool
) -> tuple[HubLoad, Sequence[Lease]]:
    """Advance one rollout. Return what its senders measured of the hub, and its new leases."""
    snapshot = _prepare(services, rollout_id, budget)
    if snapshot is None:
        return HubLoad(), ()
    due = attention.due_blocks(snapshot.rollout, services.clock())
    parts = [list(part) for part in batched(due, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    *earlier, last = parts
    for part in earlier:
        snapshot, _, _ = _step(services, snapshot, part, budget, None, whole=whole)
    _, load, made = _step(services, snapshot, last, budget, budget.starts, whole=whole)
    budget.starts -= load.starts
    budget.queries -= load.queries
    return load, made


def _prepare(services: Services, rollout_id: str, budget: TickBudget) -> Snapshot | None:
    """Do what comes before a rollout's devices. None if there is nothing to do behind that."""
    snapshot = services.stores.rollouts.get(rollout_id)
    if snapshot is None:  # being created, or its request died on the way
        return None
    if snapshot.rollout.is_over:  # its end was stored, and not that it is closed
        services.stores.rollouts.save(snapshot, snapshot.rollout)
        return None
    if snapshot.rollout.resolution is not None:
        snapshot = resolve_target.continue_resolution(services, snapshot, budget)
    if snapshot.rollout.resolution is not None or snapshot.rollout.is_over:
        return None
    snapshot = cancel_queued.cancel_queued_devices(services, snapshot)
    if breach.rollback_may_begin(snapshot.rollout, services.clock()):
        snapshot = rollback.create_due(services, snapshot)
    return snapshot


def _step(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    budget: TickBudget,
    starts_left: float | None,
    *,
    whole: bool,
) -> tuple[Snapshot, HubLoad, Sequence[Lease]]:
    """Observe the devices of the due blocks; with `starts_left`, lease what may start.

    Then the hub load is taken off the record too: all that senders measured until this write.
    """
    snapshot = services.stores.rollouts.get_blocks(snapshot, due)
    moment = services.moment(snapshot.rollout)
    updates = [update for number in due for update in snapshot.blocks[number].updates]
    seen = observe_due(services.hub, moment, updates, budget) if updates else NOTHING
    load, made = HubLoad(), tuple[Lease, ...]()

    def decide(moment: Moment, now_stored: Snapshot) -> Change:
        nonlocal load, made
        change = _with_news(moment, now_stored, due, seen)
        if starts_left is None:
            return change
        load = now_stored.rollout.measured.hub_load
        rollout = change.rollout.with_hub_load(HubLoad())
        rollout, made = starts.lease_batches(rollout, moment.now, int(starts_left), whole=whole)
        return replace(change, rollout=pacing.with_quota_reason(rollout, budget.messages_left))

    snapshot = commit(services, snapshot, decide, due)
    for lease in made:
        budget.spend_batch(len(lease.devices))
    return snapshot, load, made


def _with_news(moment: Moment, stored: Snapshot, due: Sequence[int], seen: Observations) -> Change:
    """Change the due blocks by what was observed. Devices that need not wait longer are ready."""
    rollout, changed = stored.rollout, {}
    for number in due:
        block = stored.blocks[number]
        after = block.apply(lambda update: follow(moment, update, seen))
        if after is not block:
            changed[number] = after
        rollout = starts.mark_ready(moment, rollout, after)
    return Change(rollout, changed, due)


def _put(services: Services, rollout_id: str, made: Sequence[Lease], spread_seconds: float) -> None:
    """Queue the batches, spread evenly, so that the hub's quotas are used evenly."""
    for number, lease in enumerate(made):
        delay = number * spread_seconds / len(made)
        batch = Batch(rollout_id, lease.number, lease.block, lease.devices)
        services.queue.put(batch, delay)
