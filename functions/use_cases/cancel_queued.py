"""Cancel the devices of a cancelled rollout that were not asked yet, block by block.

Nothing of it starts from the moment of the command; this is only their records.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import batched

from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.rollout import operator_commands
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services


def cancel_queued_devices(services: Services, snapshot: Snapshot) -> Snapshot:
    """The rollout with no device queued, if it is cancelled; else as it is.

    Raises StorageUnavailableError.
    """
    rollout = snapshot.rollout
    if rollout.status is not RolloutStatus.CANCELLED or not rollout.counts.queued:
        return snapshot
    queued = services.stores.rollouts.list_blocks_with(rollout.id, [DeviceState.QUEUED])
    for part in batched(queued, MAX_BLOCKS_PER_SAVE, strict=False):
        snapshot = _cancelled(services, snapshot, part)
    return snapshot


def _cancelled(services: Services, snapshot: Snapshot, part: Sequence[int]) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        cancelled = partial(operator_commands.cancel_queued, moment)
        blocks = {number: stored.blocks[number].apply(cancelled) for number in part}
        dispatch = stored.rollout.dispatch
        kept = {n: devices for n, devices in dispatch.ready.items() if n not in part}
        return Change(replace(stored.rollout, dispatch=replace(dispatch, ready=kept)), blocks)

    return commit(services, snapshot, decide, part)
