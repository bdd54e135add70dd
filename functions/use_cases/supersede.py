"""Skip the devices of an open rollout that later rollouts have, wherever they wait in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import batched, chain

from functions.rollout_store.ports.rollout_ids import created_at
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.later_rollouts import NO_LATER_ROLLOUTS, LaterRollouts
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import superseding
from functions.use_cases import later_rollouts
from functions.use_cases.commit import Change, commit
from functions.use_cases.conflicts import name_first
from functions.use_cases.services import Services

# How old the newest later rollout must be: an operator who cancels it at once costs no device its
# update. A device that would start before is skipped at its claim.
MIN_AGE = timedelta(seconds=10)
# After this, a rollout that was announced and not stored is taken for a creation that crashed.
MAX_CREATION_TIME = timedelta(minutes=5)


def skip_in_blocks(
    services: Services, moment: Moment, rollout: Rollout, blocks: Mapping[int, Block]
) -> tuple[Rollout, Mapping[int, Block]]:
    """Skip the queued devices in these blocks that later rollouts have, with an event."""
    updates = chain.from_iterable(block.updates for block in blocks.values())
    after, found = later_rollouts.skip_superseded(services, moment, rollout, blocks, updates)
    return add_skipped_event(rollout, moment, Counter(found.values())), after


def skip_claimed(
    services: Services, snapshot: Snapshot, claimed: Mapping[int, DeviceUpdate]
) -> tuple[Snapshot, Mapping[int, DeviceUpdate]]:
    """Skip those of the claimed devices of the first block that a later rollout has.

    Their methods must not be sent yet. Return the snapshot as stored, and the other claims.
    """
    ids = [update.device_id for update in claimed.values()]
    found = later_rollouts.find_superseding_open(services, snapshot.rollout, ids)
    if not found:
        return snapshot, claimed

    def decide(moment: Moment, stored: Snapshot) -> Change:
        def skip(update: DeviceUpdate) -> DeviceUpdate:
            return superseding.skip(moment, update, found[update.device_id])

        indexes = [n for n, update in claimed.items() if update.device_id in found]
        return Change(stored.rollout, {0: stored.blocks[0].apply(skip, indexes)})

    snapshot = commit(services, snapshot, decide, [0])
    return snapshot, {n: item for n, item in claimed.items() if item.device_id not in found}


def skip_superseded(services: Services, snapshot: Snapshot) -> Snapshot:
    """Skip the queued devices of a rollout that later rollouts have, once it has started.

    Does nothing if that was done since the latest of them was entered. Return the snapshot as
    stored. Raises LostRaceError, StorageUnavailableError.
    """
    rollout = snapshot.rollout
    if rollout.later.checked or rollout.status not in {RolloutStatus.RUNNING, RolloutStatus.PAUSED}:
        return snapshot
    if created_at(rollout.later.ids[0]) + MIN_AGE > services.clock():
        return snapshot
    skipped = Counter[str]()
    for part in batched(_find_blocks(services, snapshot), MAX_BLOCKS_PER_SAVE, strict=False):
        snapshot = _skip_in_blocks(services, snapshot, part, skipped)
    return _record_check(services, snapshot, rollout.later, skipped)


def _find_blocks(services: Services, snapshot: Snapshot) -> Sequence[int]:
    """Return the numbers of the blocks with queued devices that later rollouts have."""
    stores, rollout = services.stores, snapshot.rollout
    shared: set[str] = set()
    for later_id in rollout.later.ids:
        later = stores.rollouts.get(later_id)
        shared |= services.known_devices.read(stores, later) if later else frozenset()
    if not shared or not rollout.counts.queued:
        return ()
    numbers = set(stores.targets.get_block_numbers(rollout.id, shared).values())
    queued = stores.rollouts.list_blocks_with(rollout.id, [DeviceState.QUEUED])
    return [number for number in queued if number in numbers]


def _skip_in_blocks(
    services: Services, snapshot: Snapshot, numbers: Sequence[int], skipped: Counter[str]
) -> Snapshot:
    found: Mapping[str, str] = {}

    def decide(moment: Moment, stored: Snapshot) -> Change:
        nonlocal found
        blocks = {number: stored.blocks[number] for number in numbers}
        updates = chain.from_iterable(block.updates for block in blocks.values())
        after, found = later_rollouts.skip_superseded(
            services, moment, stored.rollout, blocks, updates
        )
        changed = {number: after[number] for number in after if after[number] is not blocks[number]}
        return Change(stored.rollout, changed)

    snapshot = commit(services, snapshot, decide, numbers)
    skipped.update(found.values())
    return snapshot


def _record_check(
    services: Services, snapshot: Snapshot, checked: LaterRollouts, skipped: Counter[str]
) -> Snapshot:
    """Record that the queued devices were checked against these later rollouts.

    They are forgotten once no device in flight could be queued again.
    """
    ids, is_complete = _find_existing(services, checked.ids)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        rollout = add_skipped_event(stored.rollout, moment, skipped)
        if stored.rollout.later == checked:
            is_needed = rollout.counts.updating or not is_complete
            later = LaterRollouts(ids=ids, checked=is_complete) if is_needed else NO_LATER_ROLLOUTS
            rollout = replace(rollout, later=later)
        return Change(rollout)

    return commit(services, snapshot, decide)


def _find_existing(services: Services, ids: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the later rollouts that count, and whether all of their devices are known.

    A creation that crashed does not count.
    """
    kept, is_complete = [], True
    for later_id in ids:
        snapshot = services.stores.rollouts.get(later_id)
        if snapshot is None and created_at(later_id) + MAX_CREATION_TIME <= services.clock():
            continue
        kept.append(later_id)
        is_known = snapshot is not None and snapshot.rollout.resolution is None
        is_complete = is_complete and is_known
    return tuple(kept), is_complete


def add_skipped_event(rollout: Rollout, moment: Moment, skipped: Counter[str]) -> Rollout:
    """Add to the audit trail how many devices were skipped, by the id of the later rollout."""
    if not skipped:
        return rollout
    devices = texts.count(skipped.total(), "device")
    message = f"Skipped {devices}: later rollouts have them: {name_first(list(skipped))}."
    return add_event(rollout, moment.now, "superseded", message)
