"""Gather the devices of a large rollout and write them, behind the request and crash-safe.

    target asked for --queries, as fast as the quota allows--> target complete --> blocks written

Each part is stored before the rollout's record says so, and blocks are written together with it:
whoever dies on the way, the next tick goes on where the record says.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import batched

from functions.errors import LostRaceError
from functions.hub_gateway.port import ConditionError
from functions.rollout_store.ports.rollouts import MAX_NEW_BLOCKS_PER_SAVE, Snapshot
from functions.rollout_store.ports.targets import MAX_DEVICES_PER_TARGET_PART
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, blocks_for, untouched_summaries
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.target import TargetDevice, TargetResolution
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout import status, waves
from functions.rollouts.rollout.start_order import WavesError, wave_sizes
from functions.use_cases import draft
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget

# How long one tick goes on writing blocks; the next one goes on.
MAX_WRITE_TIME = timedelta(seconds=8)

_log = logging.getLogger(__name__)


def split_target(members: Sequence[TargetDevice]) -> Sequence[Sequence[TargetDevice]]:
    """A target in the parts in which it is stored."""
    return list(batched(members, MAX_DEVICES_PER_TARGET_PART, strict=False))


def continue_resolution(services: Services, snapshot: Snapshot, budget: TickBudget) -> Snapshot:
    """Continue resolving the target within this budget. Return the new snapshot.

    Raises HubUnavailableError, StorageUnavailableError.
    """
    try:
        while not _gathering(snapshot).gathered and budget.take_query(QUERY_ROWS):
            snapshot = _next_part(services, snapshot)
        is_to_write = not snapshot.rollout.is_over and _gathering(snapshot).gathered
        return write_blocks(services, snapshot) if is_to_write else snapshot
    except LostRaceError:
        _log.info("rollout %s is gathered by another timer", snapshot.rollout.id)
        return snapshot


def _gathering(snapshot: Snapshot) -> TargetResolution:
    return snapshot.rollout.resolution or TargetResolution(gathered=True)


def _next_part(services: Services, snapshot: Snapshot) -> Snapshot:
    if snapshot.rollout.definition.target.condition is None:
        return _look_up(services, snapshot)
    return _query_on(services, snapshot)


def _query_on(services: Services, snapshot: Snapshot) -> Snapshot:
    """One more page of a condition's query."""
    rollout, so_far = snapshot.rollout, _gathering(snapshot)
    paths = rollout.strategy.stratify_by
    try:
        condition = rollout.definition.target.condition or ""
        page = services.hub.query_matching(condition, paths, so_far.cursor)
    except ConditionError as error:
        if so_far.cursor is None:
            return _ended(services, snapshot, str(error))
        # The hub no longer knows its own cursor: from the beginning.
        _log.warning("rollout %s: its query begins again", rollout.id)
        return _save(services, snapshot, replace(so_far, parts=0, devices=0, cursor=None))
    services.stores.targets.save_part(rollout.id, so_far.parts, page.devices)
    further = replace(
        so_far,
        parts=so_far.parts + 1,
        devices=so_far.devices + len(page.devices),
        cursor=page.cursor,
        gathered=page.cursor is None,
    )
    return _save(services, snapshot, further)


def _look_up(services: Services, snapshot: Snapshot) -> Snapshot:
    """The next hundred devices of a list, with the values that waves are spread over."""
    rollout, so_far = snapshot.rollout, _gathering(snapshot)
    part, first = divmod(so_far.looked_up, MAX_DEVICES_PER_TARGET_PART)
    asked = services.stores.targets.get_parts(rollout.id, part, part + 1)
    ids = [item.device_id for item in asked[first : first + QUERY_ROWS]]
    known = {
        item.device_id: item
        for item in services.hub.query_devices(ids, rollout.strategy.stratify_by)
    }
    members = [known.get(item, TargetDevice(item)) for item in ids]
    services.stores.targets.save_part(rollout.id, so_far.parts, members)
    looked_up = so_far.looked_up + len(ids)
    further = replace(
        so_far,
        parts=so_far.parts + 1,
        looked_up=looked_up,
        gathered=looked_up >= so_far.devices,
    )
    return _save(services, snapshot, further)


def _save(services: Services, snapshot: Snapshot, resolution: TargetResolution) -> Snapshot:
    rollout = snapshot.rollout
    changed = replace(rollout, resolution=resolution, revision=rollout.revision + 1)
    return services.stores.rollouts.save(snapshot, changed)


def write_blocks(services: Services, snapshot: Snapshot) -> Snapshot:
    """Write blocks, some at a time, each time together with how far it is."""
    rollout, so_far = snapshot.rollout, _gathering(snapshot)
    until = services.clock() + MAX_WRITE_TIME
    first = so_far.asked_parts if so_far.looked_up else 0
    members = services.stores.targets.get_parts(rollout.id, first, so_far.parts)
    unique = list({member.device_id: member for member in members}.values())
    try:
        sizes = _wave_sizes(snapshot, len(unique))
    except WavesError as error:
        return _ended(services, snapshot, str(error))
    order = draft.order_devices(rollout, unique, sizes)
    versions = (
        {item.device_id: item.stratum for item in unique} if rollout.definition.rollback_of else {}
    )
    if not so_far.written:
        places = {device_id: place // BLOCK_SIZE for place, device_id in enumerate(order)}
        services.stores.targets.save_history(rollout.id, places)
    while snapshot.rollout.resolution is not None:
        written = _gathering(snapshot).written
        new = draft.make_blocks(
            rollout,
            order,
            sizes,
            now=rollout.definition.created_at,
            versions=versions,
            first=written,
            count=MAX_NEW_BLOCKS_PER_SAVE,
        )
        changed = _with_written(snapshot.rollout, written + len(new), len(order), sizes)
        settled = waves.settle(changed, services.clock())
        snapshot = services.stores.rollouts.save(snapshot, settled, new)
        if services.clock() >= until:
            break
    _log.info(
        "rollout %s: devices are written as far as %s", rollout.id, snapshot.rollout.resolution
    )
    return snapshot


def _with_written(rollout: Rollout, written: int, devices: int, sizes: Sequence[Wave]) -> Rollout:
    """With the last block the rollout is complete, and has waves."""
    more = replace(rollout, revision=rollout.revision + 1)
    if written < blocks_for(devices):
        resolution = replace(
            rollout.resolution or TargetResolution(), written=written, devices=devices
        )
        return replace(more, resolution=resolution)
    summaries = untouched_summaries(blocks_for(devices))
    return replace(more, resolution=None, waves=tuple(sizes), block_summaries=summaries)


def _wave_sizes(snapshot: Snapshot, devices: int) -> Sequence[Wave]:
    """Raises WavesError when the waves do not fit the target, or there is none."""
    if not devices:
        raise WavesError("no device met the condition when the target was complete")
    return wave_sizes(snapshot.rollout.strategy.waves, devices)


def _ended(services: Services, snapshot: Snapshot, why: str) -> Snapshot:
    """A rollout that cannot begin ends as failed."""
    now, rollout = services.clock(), snapshot.rollout
    message = f"The rollout could not begin: {why.rstrip('.')}."
    ended = status.move(
        rollout,
        RolloutStatus.FAILED,
        status_reason=Reason(code="target", message=message),
        resolution=None,
        ended_at=now,
        revision=rollout.revision + 1,
    )
    return services.stores.rollouts.save(snapshot, add_event(ended, now, "failed", message))
