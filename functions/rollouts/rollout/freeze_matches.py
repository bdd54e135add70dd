"""Keep the devices that match a freeze's condition from being leased, and check them again.

The condition is evaluated when a batch is claimed. The devices that match it leave the batch, and
are checked again, one batch per tick, because they may no longer match.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import FreezeMatches
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import freezing
from functions.rollouts.rollout.ready_devices import return_devices


def record_matches(rollout: Rollout, block: Block, devices: DeviceSet, now: datetime) -> Rollout:
    """Keep devices from being leased while the freeze that the rollout knows is in force.

    `block` is the block of the devices, as it is to be stored.
    """
    if rollout.freeze is None:
        return rollout
    in_doubt = DeviceSet.of(index for index in devices if block.updates[index].in_doubt)
    added = tuple(
        FreezeMatches(
            block=block.number,
            devices=found,
            revision=rollout.freeze.revision,
            until=now + freezing.CHECK_INTERVAL,
            repeat=repeat,
        )
        for found, repeat in ((devices - in_doubt, False), (in_doubt, True))
        if found
    )
    matches = (*rollout.dispatch.freeze_matches, *added)
    return replace(rollout, dispatch=replace(rollout.dispatch, freeze_matches=matches))


def return_thawed(rollout: Rollout, now: datetime) -> Rollout:
    """Make devices ready again once the freeze that they matched is over, removed or replaced."""
    freeze = rollout.freeze
    in_force = freeze is not None and freeze.freezes_some(now)
    revision = freeze.revision if freeze is not None and in_force else None
    for item in rollout.dispatch.freeze_matches:
        if item.revision != revision:
            rollout = _thaw(rollout, item)
    return rollout


def recheck_oldest(rollout: Rollout, now: datetime) -> Rollout:
    """Let one batch of devices that match a freeze be checked again, if it is time to."""
    oldest = next(iter(rollout.dispatch.freeze_matches), None)
    return _thaw(rollout, oldest) if oldest is not None and oldest.until <= now else rollout


def _thaw(rollout: Rollout, item: FreezeMatches) -> Rollout:
    kept = tuple(other for other in rollout.dispatch.freeze_matches if other is not item)
    rollout = replace(rollout, dispatch=replace(rollout.dispatch, freeze_matches=kept))
    return return_devices(rollout, item.block, item.devices, repeat=item.repeat)
