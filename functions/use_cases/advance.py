"""Advance every open rollout: one tick of the timer.

A tick reads the devices that are due, then leases the devices that may start. Two ticks at once, a
late tick, or a tick after a crash have the effect of one: the first to start takes the budget from
one stored record, and a decision is stored only if its rollout has not changed since it was read.
The cost of a tick depends on what is due, not on the size of the fleet.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from functions.dispatch_queue.port import Batch
from functions.errors import (
    DailyQuotaError,
    HubUnavailableError,
    LostRaceError,
    NewerSchemaError,
)
from functions.rollout_store.ports.retention import TickWork
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.rollout import (
    breach,
    frozen,
    pacing,
    starts,
)
from functions.use_cases import (
    cancel_queued,
    event_feed,
    freeze,
    joiners,
    requeue,
    resolve_target,
    retention,
    rollback,
    stratum_commands,
    supersede,
)
from functions.use_cases.hub_watch import HubWatch
from functions.use_cases.observe_and_lease import follow_late_devices, observe_and_lease
from functions.use_cases.services import Services
from functions.use_cases.stored_budget import TakenBudget, store_budget, take_budget
from functions.use_cases.tick_budget import TickBudget, can_save_batch

_log = logging.getLogger(__name__)


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
    taken = take_budget(services)
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
    if not store_budget(services, left, taken.version):
        services.hub.return_usage(usage)


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
    taken: TakenBudget,
    *,
    hub: HubWatch,
    whole: bool,
) -> HubLoad:
    """Advance one rollout and queue its batches. Return its load; log an error.

    An error of any kind must not stop the other rollouts.
    """
    load = HubLoad()
    try:
        load, leases = _advance_one(services, rollout_id, budget, taken.freeze, hub, whole=whole)
        _queue_batches(services, rollout_id, leases, taken.spread_seconds)
    except HubUnavailableError as error:
        _log.warning("rollout %s: the hub is unavailable in this tick: %s", rollout_id, error)
        if isinstance(error, DailyQuotaError):  # the hub works; the next tick says that it waits
            return load
        load = replace(load, throttled=load.throttled + 1)
        _record_failed_read(services, rollout_id, hub, error)
    except Exception as error:  # noqa: BLE001 - as the docstring says
        _log_error(rollout_id, error)
    return load


def _record_failed_read(
    services: Services, rollout_id: str, hub: HubWatch, error: HubUnavailableError
) -> None:
    """Record that the hub fails; log an error, such as one of storage."""
    try:
        hub.record_failed_read(services, rollout_id, error)
    except Exception as failure:  # noqa: BLE001 - as above: the others go on
        _log_error(rollout_id, failure)


def _log_error(rollout_id: str, error: Exception) -> None:
    match error:
        case NewerSchemaError():
            _log.warning("rollout %s: left to hosts of the newer release: %s", rollout_id, error)
        case LostRaceError():
            _log.warning("rollout %s: the next tick continues: %s", rollout_id, error)
        case _:
            _log.error("rollout %s: this tick failed", rollout_id, exc_info=error)


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
        follow_late_devices(services, snapshot, budget, hub)
        return HubLoad(), ()
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
    return observe_and_lease(services, snapshot, budget, hub, whole=whole)


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


def _queue_batches(
    services: Services, rollout_id: str, leases: Sequence[Lease], spread_seconds: float
) -> None:
    """Queue a batch per lease, spread evenly over `spread_seconds` to use the quotas evenly."""
    for number, lease in enumerate(leases):
        delay = number * spread_seconds / len(leases)
        batch = Batch(rollout_id, lease.number, lease.block, lease.devices)
        services.queue.put(batch, delay)
