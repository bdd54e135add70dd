"""Queue the devices of a retry again, block by block, as far as one request or tick comes.

The retry is stored in the rollout until its last block is written, so the next tick continues it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched

from functions.errors import MAX_FIELD_ERRORS, ConflictError, FieldError, InvalidError
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import frozen
from functions.rollouts.rollout.retry import Selection, is_selected, requeue_blocks
from functions.use_cases import supersede
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services

# How long one request or tick queues devices; the next tick continues.
MAX_REQUEUE_TIME = timedelta(seconds=8)

type AcceptRetry = Callable[[Rollout, datetime], Rollout]


def choose(
    services: Services, snapshot: Snapshot, device_ids: Sequence[str], among: Selection
) -> Selection:
    """Return the selection of these devices.

    Raises InvalidError for devices that the rollout does not have, ConflictError for devices that
    are not in a state of `among`. Both list the devices.
    """
    store = services.stores.rollouts
    numbers = store.find_blocks(snapshot, device_ids)
    unknown = {item: "is not a device of the rollout" for item in device_ids if item not in numbers}
    if unknown:
        message = f"The rollout does not have {texts.count(len(unknown), 'device')} of the list."
        raise InvalidError(message, _field_errors(device_ids, unknown))
    chosen: dict[int, DeviceSet] = {}
    refused: dict[str, str] = {}
    undone = frozen.undone_strata(snapshot.rollout)
    for number in sorted(set(numbers.values())):
        updates = store.get_blocks(snapshot, [number]).updates_of(number)
        indexes = [index for index, item in enumerate(updates) if item.device_id in numbers]
        chosen[number] = DeviceSet.of(indexes)
        refused |= {
            updates[index].device_id: _describe_state(updates[index], undone)
            for index in indexes
            if not is_selected(updates[index], among.states, undone)
        }
    if refused:
        states = " or ".join(sorted(among.states))
        message = f"Not all devices of the list are {states}, or can be queued again."
        raise ConflictError(message, _field_errors(device_ids, refused))
    return replace(among, devices=chosen)


def _describe_state(update: DeviceUpdate, undone: Collection[int]) -> str:
    if update.stratum in undone:
        return f"{update.device_id!r} is of a stratum that is rolled back; create a new rollout"
    why = f" ({update.skip_reason})" if update.skip_reason else ""
    return f"{update.device_id!r} is {update.state}{why}"


def begin(
    services: Services, snapshot: Snapshot, accept: AcceptRetry, selection: Selection
) -> Snapshot:
    """Store the retry that `accept` adds to the rollout, and queue the first devices.

    Raises ConflictError, also if the rollout has no device that may be queued again.
    """
    numbers = _remaining_blocks(services, snapshot, selection, 0)
    first = numbers[:MAX_BLOCKS_PER_SAVE]
    is_last = len(first) == len(numbers)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        rollout = accept(stored.rollout, moment.now)
        blocks = [stored.blocks[number] for number in first]
        rollout, changed = requeue_blocks(moment, rollout, blocks, is_last=is_last)
        if is_last and not changed:
            raise ConflictError(
                "No device can be queued again: the skipped ones run the version already."
            )
        return Change(*supersede.skip_in_blocks(services, moment, rollout, changed))

    return commit(services, snapshot, decide, first)


def continue_retry(services: Services, snapshot: Snapshot) -> Snapshot:
    """Queue the remaining devices of a retry for MAX_REQUEUE_TIME. Return the snapshot as stored.

    Raises StorageUnavailableError.
    """
    pending = snapshot.rollout.retry
    if pending is None:
        return snapshot
    until = services.clock() + MAX_REQUEUE_TIME
    selection = Selection(states=pending.states, devices=pending.devices)
    numbers = _remaining_blocks(services, snapshot, selection, pending.next_block)
    parts = [list(part) for part in batched(numbers, MAX_BLOCKS_PER_SAVE, strict=False)] or [[]]
    for part in parts:
        snapshot = _requeue(services, snapshot, part, is_last=part is parts[-1])
        if snapshot.rollout.retry is None or services.clock() >= until:
            break
    return snapshot


def _remaining_blocks(
    services: Services, snapshot: Snapshot, selection: Selection, first: int
) -> Sequence[int]:
    if selection.devices is not None:
        numbers: Sequence[int] = sorted(selection.devices)
    else:
        states = [DeviceState(state.value) for state in sorted(selection.states)]
        numbers = services.stores.rollouts.list_blocks_with(snapshot.rollout.id, states)
    return [number for number in numbers if number >= first]


def _requeue(
    services: Services, snapshot: Snapshot, numbers: Sequence[int], *, is_last: bool
) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        if stored.rollout.retry is None:  # another request or tick has finished it
            return None
        blocks = [stored.blocks[number] for number in numbers]
        rollout, changed = requeue_blocks(moment, stored.rollout, blocks, is_last=is_last)
        return Change(*supersede.skip_in_blocks(services, moment, rollout, changed))

    return commit(services, snapshot, decide, numbers)


def _field_errors(device_ids: Sequence[str], details: Mapping[str, str]) -> Sequence[FieldError]:
    found = [
        FieldError(f"/deviceIds/{index}", details[item])
        for index, item in enumerate(device_ids)
        if item in details
    ]
    return found[:MAX_FIELD_ERRORS]
