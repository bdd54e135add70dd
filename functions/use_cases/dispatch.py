"""Invoke the direct method on the devices of a batch from the queue.

leased --claim, stored--> method invoked --> outcome, stored
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from functions.dispatch_queue.port import Batch
from functions.errors import (
    DailyQuotaError,
    HubRefusedError,
    HubUnavailableError,
    LostRaceError,
    NewerSchemaError,
    UnavailableError,
)
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import claiming, freeze_matches, ready_devices, starts
from functions.rollouts.rollout.claiming import ClaimResult
from functions.use_cases import (
    before_claims,
    freeze,
    invoke,
    later_rollouts,
    quarantine,
    supersede,
    usage,
)
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services

_log = logging.getLogger(__name__)


def dispatch(services: Services, batch: Batch) -> None:
    """Claim the devices of a batch and invoke their methods. Ignore a batch without a lease.

    If the hub or the storage is unavailable, or other processes changed the rollout first again and
    again, the batch is dropped: a later tick leases its devices again, or settles those that were
    claimed. Raises every other error, so that the queue delivers the batch again; NewerSchemaError
    if a newer release has stored the rollout.
    """
    try:
        try:
            _dispatch(services, batch)
        except HubUnavailableError as error:
            _log.warning("rollout %s: the hub is unavailable: %s", batch.rollout_id, error)
            _record_failed_read(services, batch, error)
    except NewerSchemaError:
        raise
    except (UnavailableError, LostRaceError) as error:
        _log.warning(
            "rollout %s: batch %d is dropped and will be leased again: %s",
            batch.rollout_id,
            batch.lease,
            error,
        )


def give_up(services: Services, batch: Batch, why: str) -> None:
    """Fail the queued devices of a batch that the queue delivered too often.

    Without its lease, the batch was claimed, or its devices were leased again: nothing fails.
    """
    snapshot = services.stores.rollouts.get(batch.rollout_id)
    if snapshot is None or _find_lease(snapshot, batch) is None:
        _log.error(
            "rollout %s: batch %d is dropped: it has no lease", batch.rollout_id, batch.lease
        )
        return

    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        rollout, lease = starts.take_lease(stored.rollout, batch.lease)
        if lease is None:
            return None

        def fail(update: DeviceUpdate) -> DeviceUpdate:
            queued = update.state is DeviceState.QUEUED
            return moves.fail(moment, update, ErrorCode.UNREACHABLE, why) if queued else update

        changed = stored.blocks[batch.block].apply(fail, lease.devices)
        return Change(rollout, {batch.block: changed})

    commit(services, snapshot, decide, [batch.block])
    fields = {"event": "batchGivenUp", "rolloutId": batch.rollout_id, "batch": batch.lease}
    _log.error("rollout %s: batch %d failed: %s", batch.rollout_id, batch.lease, why, extra=fields)


def _dispatch(services: Services, batch: Batch) -> None:
    found = services.stores.rollouts.get(batch.rollout_id)
    lease = None if found is None else _find_lease(found, batch)
    if found is None or lease is None:
        _log.info("rollout %s: batch %d has no lease any more", batch.rollout_id, batch.lease)
        return
    snapshot = services.latest.with_blocks(services.stores.rollouts, found, [batch.block])
    _claim_and_invoke(services, snapshot, batch, _read_devices(services, snapshot, batch, lease))


def _read_devices(services: Services, snapshot: Snapshot, batch: Batch, lease: Lease) -> "_Read":
    """Read the devices of a batch that may start, and lock those that cannot refuse an update."""
    moment = services.moment(snapshot.rollout)
    updates = snapshot.blocks[batch.block].updates
    named = [updates[index] for index in batch.devices]
    startable = [item for item in named if claiming.may_start(moment, item)]
    frozen = freeze.find_frozen(services, snapshot.rollout, _ids(startable))
    skippable = [item for item in startable if claiming.can_skip_quarantined(item)]
    left_out = {*frozen, *quarantine.find(services, snapshot.rollout, _ids(skippable))}
    startable = [item for item in startable if item.device_id not in left_out]

    extend = partial(_extend_lease, services, snapshot, lease)
    twins = before_claims.read_baseline_twins(services.hub, moment, startable, extend)
    superseded = later_rollouts.find_superseding_open(services, snapshot.rollout, _ids(startable))
    wanted = [item for item in startable if item.device_id not in superseded]
    locked_at = services.clock()
    locked_by = before_claims.lock_devices(services, moment, wanted, twins)
    return _Read(twins, locked_by, locked_at, snapshot.rollout.freeze, frozen)


def _ids(updates: Iterable[DeviceUpdate]) -> list[str]:
    return [update.device_id for update in updates]


def _extend_lease(services: Services, snapshot: Snapshot, lease: Lease, reads: int) -> None:
    """Keep the batch from being leased again while many twins are read one by one."""
    if lease.until >= services.clock() + reads * starts.SLOW_READ:
        return

    def decide(moment: Moment, stored: Snapshot) -> Change:
        until = moment.now + starts.SLOW_LEASE_DURATION
        return Change(starts.extend_lease(stored.rollout, lease.number, until))

    commit(services, snapshot, decide)


def _record_failed_read(services: Services, batch: Batch, error: HubUnavailableError) -> None:
    """Record that the hub failed, or refused, before the methods, for the next tick."""
    snapshot = services.stores.rollouts.get(batch.rollout_id)
    if snapshot is None:
        return

    with usage.take_usage(services.hub) as used:

        def decide(_: Moment, stored: Snapshot) -> Change:
            load = stored.rollout.measured.hub_load
            load = replace(load, usage=load.usage + used)
            if not isinstance(error, DailyQuotaError):
                refused = load.refused + isinstance(error, HubRefusedError)
                load = replace(load, failed=load.failed + 1, refused=refused, example=str(error))
            return Change(stored.rollout.with_hub_load(load))

        commit(services, snapshot, decide)


def _find_lease(snapshot: Snapshot, batch: Batch) -> Lease | None:
    """Return the batch's lease; None if it was claimed or has expired."""
    lease = starts.find_lease(snapshot.rollout, batch.lease)
    return lease if lease is not None and lease.block == batch.block else None


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of the devices of a batch before their claims."""

    twins: Mapping[str, DeviceTwin | None]  # by device id; None: the hub does not know the device
    locked_by: Mapping[str, str]  # the rollout that keeps a device, by device id
    locked_at: datetime  # no lock is older
    freeze: Freeze | None  # as the rollout knew it
    frozen: frozenset[str]  # ids of the devices that match its condition


def _claim_and_invoke(services: Services, snapshot: Snapshot, batch: Batch, read: _Read) -> None:
    """Claim the devices that may start now and invoke them; return the others to the rollout.

    If the lease has expired while the twins were read, the batch still claims those of its
    devices that no other batch has claimed; otherwise slow reads would repeat without a start.
    """
    claimed: Mapping[int, DeviceUpdate] = {}
    before = Block(batch.block, ())

    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        nonlocal claimed, before
        claimed, before = {}, stored.blocks[batch.block]
        rollout, lease = starts.take_lease(stored.rollout, batch.lease)
        if lease is None:
            rollout, devices = ready_devices.take_pending(rollout, batch.block, batch.devices)
        else:
            devices = lease.devices
        if not devices:
            return None
        result = _claim(services, moment, before, devices, read)
        claimed = result.updates
        if lease is not None:  # without a lease, the write itself marks them as ready
            rollout = ready_devices.return_devices(
                rollout, batch.block, result.returned, repeat=lease.repeat
            )
        rollout = freeze_matches.record_matches(rollout, result.block, result.frozen, moment.now)
        rollout = _add_skipped_events(rollout, moment, result)
        return Change(rollout, {batch.block: result.block})

    done = commit(services, snapshot, decide, [batch.block])
    invoke.invoke_claimed(services, done, before, claimed, read.locked_at)


def _claim(
    services: Services, moment: Moment, block: Block, devices: DeviceSet, read: _Read
) -> ClaimResult:
    rollout = moment.rollout
    named = [block.updates[index].device_id for index in devices]
    is_known = rollout.freeze == read.freeze
    return claiming.claim_batch(
        moment,
        block,
        devices,
        read.twins,
        read.locked_by,
        superseded=later_rollouts.find_superseding_open(services, rollout, named),
        quarantined=quarantine.find(services, rollout, named),
        frozen=read.frozen if is_known else freeze.find_frozen(services, rollout, named),
    )


def _add_skipped_events(rollout: Rollout, moment: Moment, result: ClaimResult) -> Rollout:
    rollout = supersede.add_skipped_event(rollout, moment, Counter(result.superseded.values()))
    return quarantine.add_skipped_event(rollout, moment, result.quarantined)
