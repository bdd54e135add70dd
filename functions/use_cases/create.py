"""Create a rollout: find its devices, store it, and start a small one at once."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from functions.errors import PlanChangedError, UnavailableError
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import OnConflict
from functions.rollouts.rollout import daily_quota, pacing
from functions.use_cases import (
    catalogue,
    conflicts,
    event_feed,
    freeze,
    idempotency,
    invoke,
    order,
    plan,
    plan_warnings,
    recent_rollouts,
    resolve_target,
    supersede,
    target_devices,
)
from functions.use_cases.commit import Change, commit
from functions.use_cases.conflicts import Supersession
from functions.use_cases.first_records import FirstRecords, claim_devices, make_records
from functions.use_cases.new_rollout import refuse_expired_firmware
from functions.use_cases.plan_warnings import PlanWarning
from functions.use_cases.planned_versions import read_versions
from functions.use_cases.services import Services
from functions.use_cases.target_devices import MAX_STARTED_BY_REQUEST, FoundDevices
from functions.use_cases.tick_budget import TickBudget

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The result of a create."""

    rollout: Rollout
    updates: Sequence[DeviceUpdate]  # of a rollout that the request started; else empty
    warnings: Sequence[PlanWarning] = ()  # of a new rollout: what the caller may not expect
    is_new: bool  # False: an earlier request with the same idempotency key created it


def create(services: Services, request: NewRollout, key: str | None) -> Creation:
    """Create the rollout, or return the one that an earlier request with `key` created.

    Raises InvalidError (unknown device ids, waves that do not fit, an invalid condition, an
    expired manifest, a version that the catalogue does not know), ConflictError (the key was used
    with another body, or the strategy refuses a conflict), PlanChangedError, LostRaceError (the
    catalogue's firmware was replaced meanwhile), InProgressError (another request with
    the key is under way), HubUnavailableError, StorageUnavailableError. After an error no rollout
    is visible.
    """
    used = services.stores.keys.get(key) if key else None
    earlier = idempotency.get_earlier_rollout(services, used, request.body_hash)
    if earlier is not None:
        updates = _started_updates(services, earlier, request)
        return Creation(rollout=earlier.rollout, updates=updates, is_new=False)
    request = catalogue.complete(services.stores.catalogue, request)
    refuse_expired_firmware(request, services.clock())
    found = _find(services, request)
    if request.strategy.on_conflict is OnConflict.REFUSE:
        conflicts.refuse_conflicts(services, found.device_ids)
    rollout_id = services.new_id(services.clock())
    if key is None:
        return create_with_id(services, request, found, rollout_id)
    request = replace(request, key_hash=hashlib.sha256(key.encode()).hexdigest())
    use = KeyUse(rollout_id=rollout_id, body_hash=request.body_hash, used_at=services.clock())
    with idempotency.reserve_key(services, key, use, used) as renew:
        return create_with_id(services, request, found, rollout_id, renew)


def _find(services: Services, request: NewRollout) -> FoundDevices:
    """Find the devices, and check the plan. Of a target that is resolved later, find none."""
    is_later = request.is_resolved_later(services.clock())
    if is_later and request.plan_hash is None:
        return target_devices.check_condition(services.hub, request)
    found = target_devices.find(services.hub, request)
    _check_plan(services, request, found)
    return FoundDevices(devices=(), complete=False, queries=found.queries) if is_later else found


def create_with_id(
    services: Services,
    request: NewRollout,
    found: FoundDevices,
    rollout_id: str,
    renew: Callable[[], None] | None = None,
) -> Creation:
    """Create a rollout of the devices that were found, under this id.

    `renew` is called right before the rollout's own row is written. Raises LostRaceError if the
    rollout exists.
    """
    new = make_records(services, request, found, rollout_id)
    _store_parts(services, new, request, found)
    services.stores.rollouts.announce(new.rollout)
    open_ids = services.stores.rollouts.list_open_ids()
    supersession = order.supersede_earlier(services, open_ids, rollout_id, found.device_ids)
    rollout = supersession.add_event(new.rollout, services.clock())
    needs_fresh_twins = recent_rollouts.needs_fresh_twins(services, open_ids, rollout_id, found)
    rollout = _learn_present(services, replace(rollout, needs_fresh_twins=needs_fresh_twins))
    new = replace(new, rollout=rollout)
    if not rollout.resolution and rollout.total <= MAX_STARTED_BY_REQUEST:
        new = claim_devices(services, rollout, new.blocks[0], found.twins)
    if renew is not None:
        renew()
    snapshot = services.stores.rollouts.add(new.rollout, new.blocks)
    services.known_devices.keep(new.rollout, new.blocks)
    event_feed.publish(services, None, snapshot.rollout)
    snapshot = order.learn_later(services, snapshot)
    snapshot, claimed = supersede.skip_claimed(services, snapshot, new.claimed)
    if claimed:  # a freeze that was set meanwhile did not find this rollout
        snapshot = freeze.learn(services, snapshot, freeze.read_latest(services))
    is_running = snapshot.rollout.freeze == rollout.freeze
    creation = _start(
        services, snapshot, new.before_claims, claimed, request, is_running=is_running
    )
    warnings = _warn(services, request, found, snapshot.rollout, supersession)
    return replace(creation, warnings=warnings)


def _learn_present(services: Services, rollout: Rollout) -> Rollout:
    """Enter what holds for all rollouts now: the freeze, and the day's messages."""
    controls = freeze.read_controls(services)
    rollout = freeze.learn_unstored(services, rollout, controls.freeze)
    return _learn_day(services, rollout, controls.budget)


def _warn(
    services: Services,
    request: NewRollout,
    found: FoundDevices,
    rollout: Rollout,
    supersession: Supersession,
) -> Sequence[PlanWarning]:
    running = read_versions(request.firmware, found)
    return [
        *plan_warnings.warn_of_superseded(supersession),
        *plan_warnings.warn_of_freeze(services, rollout.freeze, found.device_ids),
        *plan_warnings.warn_of_quarantine(services, request.rollback_of, found.device_ids),
        *plan_warnings.warn_of_downgrades(request, running),
    ]


def _learn_day(services: Services, rollout: Rollout, stored: Stored[Budget] | None) -> Rollout:
    """Let a rollout that the request would start wait, if the messages of the day are used up."""
    if rollout.resolution or rollout.total > MAX_STARTED_BY_REQUEST:
        return rollout
    now = services.clock()
    budget = pacing.refill(stored.record if stored else None, services.limits, now)
    left = TickBudget.from_stored(budget, services.limits)
    return daily_quota.show(rollout, left.day, services.limits, now)


def _check_plan(services: Services, request: NewRollout, found: FoundDevices) -> None:
    """Raise PlanChangedError if the request names a plan, and the plan has changed since."""
    if request.plan_hash is None:
        return
    if plan.make_plan(services, request, found).plan_hash != request.plan_hash:
        raise PlanChangedError(
            "The plan has changed since this planHash: its devices, waves or conflicts differ."
            " Request the plan again, check it, and send its planHash."
        )


def _store_parts(
    services: Services, new: FirstRecords, request: NewRollout, found: FoundDevices
) -> None:
    """Store what belongs to the rollout. It stays invisible until the rollout's row is stored."""
    stores, rollout = services.stores, new.rollout
    block_numbers = {
        update.device_id: block.number for block in new.blocks for update in block.updates
    }
    if block_numbers:
        stores.targets.save_history(rollout.id, block_numbers)
    if rollout.resolution:
        for number, part in enumerate(resolve_target.split_target(found.devices)):
            stores.targets.save_part(rollout.id, number, part)
    catalogue.save_named(stores.catalogue, request, services.clock())


def _start(
    services: Services,
    snapshot: Snapshot,
    before: Block,
    claimed: Mapping[int, DeviceUpdate],
    request: NewRollout,
    *,
    is_running: bool,
) -> Creation:
    rollout = snapshot.rollout
    _log.info("rollout %s: created for %d devices", rollout.id, rollout.counts.total)
    try:
        if not (claimed or rollout.resolution):
            # If each device already runs the firmware, the rollout ends now, and if each one has to
            # wait, it says so now, not with the next tick.
            snapshot = commit(services, snapshot, lambda _, stored: Change(stored.rollout))
        created_at = rollout.definition.created_at
        snapshot = invoke.invoke_claimed(
            services, snapshot, before, claimed, created_at, is_running=is_running
        )
    except UnavailableError:
        # The rollout exists and its methods were sent: the next ticks settle their outcomes.
        _log.exception("rollout %s: the outcomes of its methods were not stored", rollout.id)
    updates = _started_updates(services, snapshot, request)
    return Creation(rollout=snapshot.rollout, updates=updates, is_new=True)


def _started_updates(
    services: Services, snapshot: Snapshot, request: NewRollout
) -> Sequence[DeviceUpdate]:
    """Return the updates of a rollout that its request started, in the request's order."""
    if snapshot.rollout.resolution or snapshot.rollout.total > MAX_STARTED_BY_REQUEST:
        return ()
    updates = services.stores.rollouts.get_blocks(snapshot, [0]).blocks[0].updates
    order = {device_id: number for number, device_id in enumerate(request.device_ids)}
    return sorted(updates, key=lambda item: order.get(item.device_id, len(order)))
