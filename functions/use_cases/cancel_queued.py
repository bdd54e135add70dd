"""Cancel the queued devices of a cancelled rollout, block by block.

None of these devices starts after the command; this only updates their records. A device whose
earlier attempt may still be at work stays queued until that has ended.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import batched

from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device import cancelling
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.rollout import frozen
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services


def cancel_queued_devices(services: Services, snapshot: Snapshot) -> Snapshot:
    """Cancel all queued devices if the rollout is cancelled, else those of cancelled strata.

    Return the snapshot as stored.

    Raises StorageUnavailableError.
    """
    rollout = snapshot.rollout
    is_cancelled = rollout.status is RolloutStatus.CANCELLED
    strata = None if is_cancelled else frozen.cancelled_strata(rollout)
    count = rollout.counts.queued if strata is None else frozen.count_waiting(rollout, strata)
    if not count:
        return snapshot
    queued = services.stores.rollouts.list_blocks_with(rollout.id, [DeviceState.QUEUED])
    for part in batched(queued, MAX_BLOCKS_PER_SAVE, strict=False):
        snapshot = _cancel_blocks(services, snapshot, part, strata)
    return snapshot


def _cancel_blocks(
    services: Services,
    snapshot: Snapshot,
    numbers: Sequence[int],
    strata: Collection[int] | None,
) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        def cancel(update: DeviceUpdate) -> DeviceUpdate:
            if strata is None:
                return cancelling.cancel_queued(moment, update)
            if update.stratum is None or update.stratum not in strata:
                return update
            subject = f"Stratum {stored.rollout.strata[update.stratum]}"
            return cancelling.cancel_queued(moment, update, subject)

        applied = {number: stored.blocks[number].apply(cancel) for number in numbers}
        blocks = {n: block for n, block in applied.items() if block is not stored.blocks[n]}
        if strata is not None:
            return Change(stored.rollout, blocks)
        dispatch = stored.rollout.dispatch
        kept = {n: devices for n, devices in dispatch.ready.items() if n not in numbers}
        return Change(replace(stored.rollout, dispatch=replace(dispatch, ready=kept)), blocks)

    return commit(services, snapshot, decide, numbers)
