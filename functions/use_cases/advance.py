"""One tick of the timer: bring every open rollout to where its devices say it is, and go on.

Two ticks at once, a late one, or one after a crash have the effect of one: the hub's quotas are
taken from one record by whoever is first, and every decision is stored only if nothing changed
meanwhile. What a tick costs follows from what is due, never from the size of the fleet.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched

from functions.dispatch_queue.port import Batch
from functions.errors import HubUnavailableError, LostRaceError
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import breach, pacing, starts
from functions.use_cases import cancel_queued, resolve_target, rollback
from functions.use_cases.commit import Change, commit
from functions.use_cases.observe import NOTHING, Observations, followed, look
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget, saves_batches

# Batches are spread over the time until the next tick, taken to be what passed since the last
# one; no longer than the default schedule's interval.
MAX_SPREAD_SECONDS = 10.0
# Blocks with something due that one tick takes on for one rollout.
MAX_BLOCKS_PER_TICK = 200

_log = logging.getLogger(__name__)


def advance(services: Services, only: str | None = None) -> None:
    """Advance all open rollouts, or one. One that fails is logged and does not hold up the others.

    Raises StorageUnavailableError when they cannot be read.
    """
    ids = [only] if only else services.stores.rollouts.list_open_ids()
    taken = _take_pace(services) if ids else None
    if taken is None:
        return
    pace, version, spread_seconds = taken
    purse = TickBudget.of(pace, services.limits)
    whole = saves_batches(pace, services.limits, starts.MAX_BATCH)
    seen = HubLoad()
    first = int(services.jitter() * len(ids)) % len(ids)
    for number, rollout_id in enumerate([*ids[first:], *ids[:first]]):
        part = purse.part(1 / (len(ids) - number))
        try:
            found, made = _advance(services, rollout_id, part, whole=whole)
            seen = _sum(seen, found)
            _put(services, rollout_id, made, spread_seconds)
        except HubUnavailableError as error:
            seen = _sum(seen, HubLoad(throttled=1))
            _log.warning("rollout %s waits for the hub: %s", rollout_id, error)
        except Exception:  # noqa: BLE001 - whatever it is, the other rollouts go on
            _log.exception("rollout %s could not be advanced in this tick", rollout_id)
        purse.give_back(part)
    _give_pace_back(services, pacing.adapt(purse.left(pace, services.limits), seen), version)


def _take_pace(services: Services) -> tuple[Budget, str, float] | None:
    """All that may be spent now, and until when it is to last, in seconds.

    None if another timer has just taken it.
    """
    stored, now = services.stores.budget.get(), services.clock()
    pace = pacing.refill(stored.record if stored else None, services.limits, now)
    since = (now - stored.record.at).total_seconds() if stored else MAX_SPREAD_SECONDS
    try:
        version = services.stores.budget.save(
            pacing.empty(pace), stored.version if stored else None
        )
    except LostRaceError:
        _log.info("another timer is at work")
        return None
    return pace, version, min(since, MAX_SPREAD_SECONDS)


def _give_pace_back(services: Services, pace: Budget, version: str) -> None:
    try:
        services.stores.budget.save(pace, version)
    except LostRaceError:
        _log.info("this tick took longer than the next one's beginning")


def _sum(one: HubLoad, other: HubLoad) -> HubLoad:
    """What the hub's speed is judged by; what was spent is taken off each rollout's own part."""
    return HubLoad(
        methods=one.methods + other.methods,
        throttled=one.throttled + other.throttled,
        seconds=max(one.seconds, other.seconds),
    )


def _advance(
    services: Services, rollout_id: str, purse: TickBudget, *, whole: bool
) -> tuple[HubLoad, Sequence[Lease]]:
    """Advance one rollout; gives what its senders saw of the hub, and what is handed out."""
    snapshot = services.stores.rollouts.get(rollout_id)
    if snapshot is None:  # being created, or its request died on the way
        return HubLoad(), ()
    if snapshot.rollout.is_over:  # its end was stored, and not that it is closed
        services.stores.rollouts.save(snapshot, snapshot.rollout)
        return HubLoad(), ()
    if snapshot.rollout.resolution is not None:
        snapshot = resolve_target.continue_resolution(services, snapshot, purse)
    if snapshot.rollout.resolution is not None or snapshot.rollout.is_over:
        return HubLoad(), ()
    snapshot = cancel_queued.cancel_queued_devices(services, snapshot)
    if breach.rollback_may_begin(snapshot.rollout, services.clock()):
        snapshot = rollback.create_due(services, snapshot)
    due = _due_blocks(snapshot.rollout, services.clock())
    *earlier, last = [list(part) for part in batched(due, MAX_BLOCKS_PER_SAVE, strict=False)] or [
        []
    ]
    for part in earlier:
        snapshot, _, _ = _step(services, snapshot, part, purse, None, whole=whole)
    _, hub_load, made = _step(services, snapshot, last, purse, purse.starts, whole=whole)
    purse.starts -= hub_load.starts
    purse.queries -= hub_load.queries
    return hub_load, made


def _due_blocks(rollout: Rollout, now: datetime) -> Sequence[int]:
    due = [
        (mark.due_at, number)
        for number, mark in enumerate(rollout.block_summaries)
        if mark.due_at is not None and mark.due_at <= now
    ]
    return [number for _, number in sorted(due)[:MAX_BLOCKS_PER_TICK]]


def _step(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    purse: TickBudget,
    budget: float | None,
    *,
    whole: bool,
) -> tuple[Snapshot, HubLoad, Sequence[Lease]]:
    """Look at the devices of the due blocks; with a budget, hand out what may start.

    Then it also takes the hub_load off the record: what senders had seen by the very write.
    """
    snapshot = services.stores.rollouts.get_blocks(snapshot, due)
    moment = services.moment(snapshot.rollout)
    updates = [update for number in due for update in snapshot.blocks[number].updates]
    seen = look(services.hub, moment, updates, purse) if updates else NOTHING
    hub_load, made = HubLoad(), tuple[Lease, ...]()

    def decide(moment: Moment, now_stored: Snapshot) -> Change:
        nonlocal hub_load, made
        change = _with_news(moment, now_stored, due, seen)
        if budget is None:
            return change
        hub_load = now_stored.rollout.measured.hub_load
        rollout = change.rollout.with_hub_load(HubLoad())
        rollout, made = starts.lease_batches(rollout, moment.now, int(budget), whole=whole)
        return replace(change, rollout=pacing.with_quota_reason(rollout, purse.messages_left))

    snapshot = commit(services, snapshot, decide, due)
    for item in made:
        purse.started(len(item.devices))
    return snapshot, hub_load, made


def _with_news(moment: Moment, stored: Snapshot, due: Sequence[int], seen: Observations) -> Change:
    """What was seen of the due blocks' devices; those that need not wait longer are ready."""
    rollout, changed = stored.rollout, {}
    for number in due:
        block = stored.blocks[number]
        after = block.apply(lambda update: followed(moment, update, seen))
        if after is not block:
            changed[number] = after
        rollout = starts.mark_ready(moment, rollout, after)
    return Change(rollout, changed, due)


def _put(services: Services, rollout_id: str, made: Sequence[Lease], spread_seconds: float) -> None:
    """Spread the batches evenly, so that the hub's quotas are used evenly."""
    for number, item in enumerate(made):
        delay = number * spread_seconds / len(made)
        services.queue.put(Batch(rollout_id, item.number, item.block, item.devices), delay)
