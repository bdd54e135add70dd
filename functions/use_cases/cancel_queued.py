"""Cancel the queued devices of a cancelled rollout, block by block.

None of these devices starts after the command; this only updates their records. A device whose
earlier attempt may still be at work stays queued until that has ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import batched

from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device import cancelling
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services


def cancel_queued_devices(services: Services, snapshot: Snapshot) -> Snapshot:
    """Cancel all queued devices if the rollout is cancelled. Return the snapshot as stored.

    Raises StorageUnavailableError.
    """
    rollout = snapshot.rollout
    if rollout.status is not RolloutStatus.CANCELLED or not rollout.counts.queued:
        return snapshot
    queued = services.stores.rollouts.list_blocks_with(rollout.id, [DeviceState.QUEUED])
    for part in batched(queued, MAX_BLOCKS_PER_SAVE, strict=False):
        snapshot = _cancel_blocks(services, snapshot, part)
    return snapshot


def _cancel_blocks(services: Services, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        cancel = partial(cancelling.cancel_queued, moment)
        applied = {number: stored.blocks[number].apply(cancel) for number in numbers}
        blocks = {n: block for n, block in applied.items() if block is not stored.blocks[n]}
        dispatch = stored.rollout.dispatch
        kept = {n: devices for n, devices in dispatch.ready.items() if n not in numbers}
        return Change(replace(stored.rollout, dispatch=replace(dispatch, ready=kept)), blocks)

    return commit(services, snapshot, decide, numbers)
