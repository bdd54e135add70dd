"""Resolve the target of a large rollout to devices, and write their blocks, tick by tick.

    created --queries, within the quotas--> target complete --> blocks written

A part of the target is stored before the rollout's record counts it, and blocks are stored in the
same write as their count. So after a crash the next tick continues from the record.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched

from functions.errors import ConflictError, LostRaceError
from functions.hub_gateway.port import ConditionError
from functions.rollout_store.ports.rollouts import MAX_NEW_BLOCKS_PER_SAVE, Snapshot
from functions.rollout_store.ports.targets import MAX_DEVICES_PER_TARGET_PART
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, blocks_for, untouched_summaries
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnConflict, ResolveTarget
from functions.rollouts.model.target import TargetDevice, TargetResolution
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout import status, waves
from functions.rollouts.rollout.start_order import WavesError, plan_waves
from functions.rollouts.rollout.strata import Strata, add_strata, find_strata
from functions.use_cases import conflicts, draft, event_feed, order
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget

# How long one tick writes blocks; the next tick continues.
MAX_WRITE_TIME = timedelta(seconds=8)

_log = logging.getLogger(__name__)


def split_target(devices: Sequence[TargetDevice]) -> Sequence[Sequence[TargetDevice]]:
    """Split a target into the parts in which it is stored."""
    return list(batched(devices, MAX_DEVICES_PER_TARGET_PART, strict=False))


def continue_resolution(services: Services, snapshot: Snapshot, budget: TickBudget) -> Snapshot:
    """Continue resolving the target within this tick's budget. Return the new snapshot.

    Raises HubUnavailableError, StorageUnavailableError.
    """
    if _waits_for_start(snapshot.rollout, services.clock()):
        return snapshot
    try:
        while not _resolution(snapshot).gathered and budget.take_query(QUERY_ROWS):
            snapshot = _resolve_next_part(services, snapshot)
        if snapshot.rollout.is_over or not _resolution(snapshot).gathered:
            return snapshot
        return write_blocks(services, snapshot)
    except LostRaceError:
        _log.info("rollout %s: another tick resolves its target", snapshot.rollout.id)
        return snapshot


def _waits_for_start(rollout: Rollout, now: datetime) -> bool:
    """Return whether the condition is evaluated at a start that has not come, or is paused."""
    if rollout.strategy.resolve_target is not ResolveTarget.START:
        return False
    start_at = rollout.definition.start_at
    return rollout.status is RolloutStatus.PAUSED or (start_at is not None and start_at > now)


def _resolution(snapshot: Snapshot) -> TargetResolution:
    return snapshot.rollout.resolution or TargetResolution(gathered=True)


def _resolve_next_part(services: Services, snapshot: Snapshot) -> Snapshot:
    if snapshot.rollout.definition.target.condition is None:
        return _find_strata(services, snapshot)
    return _query_condition(services, snapshot)


def _query_condition(services: Services, snapshot: Snapshot) -> Snapshot:
    """Query the next page of devices that match the condition, and store it as a part."""
    rollout, before = snapshot.rollout, _resolution(snapshot)
    try:
        page = services.hub.query_matching(
            rollout.definition.target.condition or "", rollout.strategy.stratify_by, before.cursor
        )
    except ConditionError as error:
        if before.cursor is None:
            return _fail(services, snapshot, str(error))
        # The hub may refuse a cursor that it returned some time ago.
        _log.warning("rollout %s: the hub refused its cursor; the query starts again", rollout.id)
        return _save(services, snapshot, replace(before, parts=0, devices=0, cursor=None))
    services.stores.targets.save_part(rollout.id, before.parts, page.devices)
    after = replace(
        before,
        parts=before.parts + 1,
        devices=before.devices + len(page.devices),
        cursor=page.cursor,
        gathered=page.cursor is None,
    )
    return _save(services, snapshot, after)


def _find_strata(services: Services, snapshot: Snapshot) -> Snapshot:
    """Query the strata of the next QUERY_ROWS devices of a list, and store them as a part."""
    rollout, before = snapshot.rollout, _resolution(snapshot)
    number, first = divmod(before.queried_devices, MAX_DEVICES_PER_TARGET_PART)
    part = services.stores.targets.get_parts(rollout.id, number, number + 1)
    ids = [device.device_id for device in part[first : first + QUERY_ROWS]]
    rows = services.hub.query_devices(ids, rollout.strategy.stratify_by)
    known = {device.device_id: device for device in rows}
    devices = [known.get(device_id, TargetDevice(device_id)) for device_id in ids]
    services.stores.targets.save_part(rollout.id, before.parts, devices)
    queried_devices = before.queried_devices + len(ids)
    after = replace(
        before,
        parts=before.parts + 1,
        queried_devices=queried_devices,
        gathered=queried_devices >= before.devices,
    )
    return _save(services, snapshot, after)


def _save(services: Services, snapshot: Snapshot, resolution: TargetResolution) -> Snapshot:
    rollout = snapshot.rollout
    changed = replace(rollout, resolution=resolution, revision=rollout.revision + 1)
    return services.stores.rollouts.save(snapshot, changed)


def write_blocks(services: Services, snapshot: Snapshot) -> Snapshot:
    """Write blocks of the complete target for MAX_WRITE_TIME. Return the new snapshot."""
    rollout = snapshot.rollout
    until = services.clock() + MAX_WRITE_TIME
    devices = _read_devices(services, snapshot)
    try:
        new_waves = _divide_into_waves(rollout, len(devices))
        _refuse_conflicts(services, rollout, devices)
    except (ConflictError, WavesError) as error:
        return _fail(services, snapshot, str(error))
    device_ids = draft.order_devices(rollout, devices, new_waves)
    found_strata = find_strata(rollout.strategy, devices)
    is_rollback = rollout.definition.rollback_of is not None
    keys = {item.device_id: item.stratum for item in devices} if is_rollback else {}
    if not _resolution(snapshot).written:
        numbers = {
            device_id: position // BLOCK_SIZE for position, device_id in enumerate(device_ids)
        }
        services.stores.targets.save_history(rollout.id, numbers)
        open_ids = services.stores.rollouts.list_open_ids()
        order.supersede_earlier(services, open_ids, rollout.id, device_ids)
    while snapshot.rollout.resolution is not None:
        snapshot = _write_next_blocks(
            services, snapshot, device_ids, new_waves, package_keys=keys, strata=found_strata
        )
        if services.clock() >= until:
            break
    return snapshot


def _write_next_blocks(
    services: Services,
    snapshot: Snapshot,
    device_ids: Sequence[str],
    new_waves: Sequence[Wave],
    *,
    package_keys: Mapping[str, str],
    strata: Strata,
) -> Snapshot:
    rollout, first = snapshot.rollout, _resolution(snapshot).written
    blocks = draft.make_blocks(
        rollout,
        device_ids,
        new_waves,
        now=rollout.definition.created_at,
        package_keys=package_keys,
        strata=strata,
        first=first,
        count=MAX_NEW_BLOCKS_PER_SAVE,
    )
    written = first + len(blocks)
    changed = _record_written(rollout, written, device_ids, new_waves, strata)
    changed = waves.settle(changed, services.clock())
    snapshot = event_feed.save(services, snapshot, changed, blocks)
    total = blocks_for(len(device_ids))
    _log.info("rollout %s: %d of %d blocks are written", rollout.id, written, total)
    return snapshot


def _read_devices(services: Services, snapshot: Snapshot) -> Sequence[TargetDevice]:
    """Read the complete target: the parts with strata if there are any. Leave out repetitions."""
    resolution = _resolution(snapshot)
    first = resolution.listed_parts if resolution.queried_devices else 0
    devices = services.stores.targets.get_parts(snapshot.rollout.id, first, resolution.parts)
    return list({device.device_id: device for device in devices}.values())


def _record_written(
    rollout: Rollout,
    written: int,
    device_ids: Sequence[str],
    new_waves: Sequence[Wave],
    strata: Strata,
) -> Rollout:
    """Record the number of written blocks. With the last block, the rollout gets its waves."""
    changed = replace(rollout, revision=rollout.revision + 1)
    devices = len(device_ids)
    if written < blocks_for(devices):
        before = rollout.resolution or TargetResolution()
        return replace(changed, resolution=replace(before, written=written, devices=devices))
    summaries = untouched_summaries(blocks_for(devices))
    changed = add_strata(changed, strata, device_ids, new_waves)
    return replace(changed, resolution=None, block_summaries=summaries)


def _divide_into_waves(rollout: Rollout, devices: int) -> Sequence[Wave]:
    """Divide the devices into waves. Raises WavesError if there are too few devices."""
    if not devices:
        raise WavesError("no device matched the condition when the target was complete")
    return plan_waves(rollout.strategy.waves, devices)


def _refuse_conflicts(
    services: Services, rollout: Rollout, devices: Sequence[TargetDevice]
) -> None:
    """Raise ConflictError if the rollout refuses conflicts and its target has one."""
    if rollout.strategy.on_conflict is OnConflict.REFUSE and not _is_written(rollout):
        conflicts.refuse_conflicts(services, [device.device_id for device in devices], rollout.id)


def _is_written(rollout: Rollout) -> bool:
    return rollout.resolution is None or rollout.resolution.written > 0


def _fail(services: Services, snapshot: Snapshot, why: str) -> Snapshot:
    """End a rollout that cannot begin."""
    now, rollout = services.clock(), snapshot.rollout
    message = f"The rollout could not begin: {why.rstrip('.')}."
    failed = status.move(
        rollout,
        RolloutStatus.FAILED,
        status_reason=Reason(code="target", message=message),
        resolution=None,
        ended_at=now,
        revision=rollout.revision + 1,
    )
    return event_feed.save(services, snapshot, add_event(failed, now, "failed", message))
