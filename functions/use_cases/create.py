"""Create a rollout: find its devices, store it, and start a small one at once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from functions.errors import ConflictError, UnavailableError
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.block import Block, blocks_for, untouched_summaries
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.rollout import ledger, starts, waves
from functions.use_cases import draft, idempotency, invoke, plan, resolve_target, target_devices
from functions.use_cases.new_rollout import refuse_expired_manifest
from functions.use_cases.services import Services
from functions.use_cases.target_devices import MAX_STARTED_BY_REQUEST, Devices

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """`updates` are the device updates of a small rollout, none of a larger one.

    `is_new` is False for the repeat of an earlier request with the same idempotency key.
    """

    rollout: Rollout
    updates: Sequence[DeviceUpdate]
    is_new: bool


def create(services: Services, request: NewRollout, key: str | None) -> Creation:
    """Create the rollout, or give back the one that `key` created.

    Raises InvalidError (ids the hub does not know, waves that do not fit, a condition that is
    none, an expired manifest), ConflictError (the key belongs to another request, the plan is
    another by now), InProgressError (to this one, still under way), HubUnavailableError,
    StorageUnavailableError.
    Nothing that anybody can see is stored then.
    """
    used = services.stores.keys.get(key) if key else None
    earlier = idempotency.get_earlier_rollout(services, used, request.body_hash)
    if earlier is not None:
        return Creation(
            rollout=earlier.rollout, updates=_few(services, earlier, request), is_new=False
        )
    refuse_expired_manifest(request, services.clock())
    devices = target_devices.find(services.hub, request)
    _check_plan(services, request, devices)
    rollout_id = services.new_id(services.clock())
    if key is None:
        return create_with_id(services, request, devices, rollout_id)
    use = KeyUse(rollout_id=rollout_id, body_hash=request.body_hash, used_at=services.clock())
    with idempotency.reserve_key(services, key, use, used) as renew:
        return create_with_id(services, request, devices, rollout_id, renew)


def create_with_id(
    services: Services,
    request: NewRollout,
    devices: Devices,
    rollout_id: str,
    renew: Callable[[], None] | None = None,
) -> Creation:
    """Create a rollout of devices that are known, under an id chosen before.

    `renew` is called right before its own row is written. Raises LostRaceError if it exists.
    """
    new = _drafted(services, request, devices, rollout_id)
    _add_places(services, new, request, devices)
    if renew is not None:
        renew()
    snapshot = services.stores.rollouts.add(new.rollout, new.blocks)
    return _started(services, snapshot, new, request)


@dataclass(frozen=True, slots=True)
class _New:
    """A rollout as it is first stored.

    `claimed` are updates of its first block, by place, that are sent right behind that.
    """

    rollout: Rollout
    blocks: Sequence[Block] = ()
    claimed: Mapping[int, DeviceUpdate] = field(default_factory=dict)


def _check_plan(services: Services, request: NewRollout, devices: Devices) -> None:
    if request.plan_hash is None:
        return
    now = plan.make_plan(services, request, devices).plan_hash
    if now != request.plan_hash:
        raise ConflictError(
            "The plan is no longer the one with this planHash: devices, waves or conflicts"
            " have changed. Ask for the plan again, look at it, and send its planHash."
        )


def _drafted(services: Services, request: NewRollout, devices: Devices, rollout_id: str) -> _New:
    now = services.clock()
    spent = HubLoad(queries=devices.queries)
    rollout = draft.draft_rollout(request, rollout_id, now).with_hub_load(spent)
    if not devices.complete:
        if request.condition is None:
            draft.make_waves(request, len(devices.members))  # refuses what does not fit
        parts = resolve_target.split_target(devices.members)
        resolution = TargetResolution(
            parts=len(parts),
            asked_parts=len(parts) if request.condition is None else 0,
            devices=len(devices.members),
            cursor=devices.cursor,
            gathered=request.condition is None and not request.strategy.stratify_by,
        )
        return _New(replace(rollout, resolution=resolution))
    waves_there = draft.make_waves(request, len(devices.members))
    order = draft.order_devices(rollout, devices.members, waves_there)
    blocks = draft.make_blocks(rollout, order, waves_there, now=now, versions=request.versions)
    summaries = untouched_summaries(blocks_for(len(order)))
    rollout = waves.settle(replace(rollout, waves=waves_there, block_summaries=summaries), now)
    if len(order) > MAX_STARTED_BY_REQUEST:
        return _New(rollout, blocks)
    return _begun(services, rollout, blocks[0], devices.twins)


def _begun(
    services: Services, rollout: Rollout, block: Block, twins: Mapping[str, DeviceTwin]
) -> _New:
    """Hand out the first devices here and now: what the timer and the queue do for others."""
    moment = services.moment(rollout)
    changed, made = starts.lease_batches(rollout, moment.now, len(block.updates))
    after = block
    claimed: dict[int, DeviceUpdate] = {}
    for item in made:
        changed, _ = starts.take_lease(changed, item.number)
        found = invoke.claim_devices(services, moment, after, item.devices, twins)
        changed = starts.return_devices(changed, 0, found.returned)
        after = found.block
        claimed |= found.updates
    load = replace(changed.measured.hub_load, starts=len(claimed))
    changed = changed.with_hub_load(load)
    booked = ledger.record_changes(moment, changed, {0: block}, {0: after})
    first = replace(booked, revision=booked.revision + 1)  # the one that the block is marked with
    return _New(first, [after], claimed)


def _add_places(services: Services, new: _New, request: NewRollout, devices: Devices) -> None:
    """What is stored before the rollout itself; without it, nobody ever sees that."""
    rollout = new.rollout
    places = {update.device_id: block.number for block in new.blocks for update in block.updates}
    if places:
        services.stores.targets.save_history(rollout.id, places)
    for number, part in enumerate(
        resolve_target.split_target(devices.members) if rollout.resolution else ()
    ):
        services.stores.targets.save_part(rollout.id, number, part)
    services.stores.catalogue.save(request.firmware)


def _started(services: Services, snapshot: Snapshot, new: _New, request: NewRollout) -> Creation:
    rollout = snapshot.rollout
    _log.info("rollout %s created for %d devices", rollout.id, rollout.counts.total)
    try:
        snapshot = invoke.invoke_claimed(services, snapshot, 0, new.claimed)
    except UnavailableError:
        # The rollout exists and its devices were asked: the timer finds out what they said.
        _log.exception("rollout %s: the outcome of its methods was not stored", rollout.id)
    return Creation(
        rollout=snapshot.rollout, updates=_few(services, snapshot, request), is_new=True
    )


def _few(services: Services, snapshot: Snapshot, request: NewRollout) -> Sequence[DeviceUpdate]:
    """The device updates of a rollout that was started at once, in the order of the request."""
    if snapshot.rollout.resolution or snapshot.rollout.total > MAX_STARTED_BY_REQUEST:
        return ()
    updates = services.stores.rollouts.get_blocks(snapshot, [0]).blocks[0].updates
    places = {device_id: place for place, device_id in enumerate(request.device_ids)}
    return sorted(updates, key=lambda item: places.get(item.device_id, len(places)))
