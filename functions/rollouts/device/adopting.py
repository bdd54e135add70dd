"""Adopt a soak and a timeout that were changed while a device was being updated.

Most times follow from the strategy whenever they are needed: an update times out a timeout after
its acceptance. Two are stored with the update: the end of its soak, and how long an attempt in
doubt is waited for.
"""

from functools import partial

from functions.rollouts.device import soaking
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate


def adopt_times(moment: Moment, block: Block, revision: int) -> Block:
    """Apply the present soak and timeout to a block that was last written at `revision`.

    Return the block itself if nothing changes.
    """
    if revision < moment.rollout.soak_revision:
        block = block.apply(partial(soaking.adopt_soak, moment))
    if revision < moment.rollout.timeout_revision:
        block = block.apply(partial(_adopt_timeout, moment))
    return block


def _adopt_timeout(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Wait no longer than the timeout for a sign of an attempt whose response was lost."""
    is_in_doubt = update.state is DeviceState.DISPATCHING and update.in_doubt
    if not is_in_doubt or update.dispatched_at is None or update.not_before is None:
        return update
    until = update.dispatched_at + moment.strategy.timeout
    return update._replace(not_before=until) if until < update.not_before else update
