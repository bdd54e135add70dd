"""Send the direct method to the devices of a batch from the queue.

hand-out --claimed, stored--> method --> outcome, stored
"""

import logging
from collections.abc import Mapping

from functions.dispatch_queue.port import Batch
from functions.errors import UnavailableError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.rollout import claiming, starts
from functions.use_cases import invoke
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services

_log = logging.getLogger(__name__)


def dispatch(services: Services, batch: Batch) -> None:
    """Send the methods of one batch. The same batch again, or an outdated one, does nothing.

    When hub or storage cannot be reached, the batch is left: the timer hands its devices out
    again. Whatever else goes wrong is raised, so that the queue tries again.
    """
    try:
        _dispatch(services, batch)
    except UnavailableError as error:
        _log.warning("rollout %s: batch left for later: %s", batch.rollout_id, error)


def give_up(services: Services, batch: Batch, why: str) -> None:
    """Fail the devices of a batch that could not be sent however often it was tried.

    Those of a hand-out that is known no longer were asked, or are handed out again.
    """
    snapshot = services.stores.rollouts.get(batch.rollout_id)
    if snapshot is None or _hand_out(snapshot, batch) is None:
        _log.error("rollout %s has no such batch; it is dropped", batch.rollout_id)
        return

    def decide(moment: Moment, now_stored: Snapshot) -> Change | None:
        rollout, found = starts.take_lease(now_stored.rollout, batch.lease)
        if found is None:
            return None
        block = now_stored.blocks[batch.block]

        def failed(update: DeviceUpdate) -> DeviceUpdate:
            queued = update.state is DeviceState.QUEUED
            return moves.fail(moment, update, ErrorCode.UNREACHABLE, why) if queued else update

        changed = block.apply(failed, found.devices)
        return Change(rollout, {block.number: changed})

    commit(services, snapshot, decide, [batch.block])
    _log.error("rollout %s block %d: %s", batch.rollout_id, batch.block, why)


def _dispatch(services: Services, batch: Batch) -> None:
    snapshot = services.stores.rollouts.get(batch.rollout_id)
    if snapshot is None or _hand_out(snapshot, batch) is None:
        _log.info("rollout %s: batch %d is outdated", batch.rollout_id, batch.lease)
        return
    snapshot = services.stores.rollouts.get_blocks(snapshot, [batch.block])
    moment = services.moment(snapshot.rollout)
    updates = snapshot.blocks[batch.block].updates
    asked = [updates[index] for index in batch.devices]
    startable = [item for item in asked if claiming.may_start(moment, item)]
    twins = invoke.read_baseline_twins(services.hub, [item.device_id for item in startable])
    locked_by = invoke.lock_devices(services, moment, startable, twins)
    snapshot, claimed = _claim(services, snapshot, batch, twins, locked_by)
    invoke.invoke_claimed(services, snapshot, batch.block, claimed)


def _hand_out(snapshot: Snapshot, batch: Batch) -> Lease | None:
    """What the batch stands for, if that is still to be sent."""
    _, found = starts.take_lease(snapshot.rollout, batch.lease)
    return found if found is not None and found.block == batch.block else None


def _claim(
    services: Services,
    snapshot: Snapshot,
    batch: Batch,
    twins: Mapping[str, DeviceTwin | None],
    locked_by: Mapping[str, str],
) -> tuple[Snapshot, Mapping[int, DeviceUpdate]]:
    """Store each update as claimed that may start at this very moment; the others go back."""
    claimed: Mapping[int, DeviceUpdate] = {}

    def decide(moment: Moment, now_stored: Snapshot) -> Change | None:
        nonlocal claimed
        claimed = {}
        rollout, found = starts.take_lease(now_stored.rollout, batch.lease)
        if found is None:
            return None
        block = now_stored.blocks[batch.block]
        after = claiming.claim_batch(moment, block, found.devices, twins, locked_by)
        claimed = after.updates
        rollout = starts.return_devices(rollout, batch.block, after.returned, repeat=found.repeat)
        return Change(rollout, {batch.block: after.block})

    snapshot = commit(services, snapshot, decide, [batch.block])
    return snapshot, claimed
