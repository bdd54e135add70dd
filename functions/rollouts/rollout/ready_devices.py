"""Keep which devices of a rollout may be leased again: ready, to be repeated, or frozen.

A device is ready once it was leased before and has no reason of its own to wait any longer.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

from functions.rollouts.device import readiness
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block, devices_between
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.frozen import frozen_strata

# The states in which a device may be ready.
_STARTABLE = frozenset({DeviceState.QUEUED, DeviceState.DISPATCHING})


def take_pending(rollout: Rollout, block: int, devices: DeviceSet) -> tuple[Rollout, DeviceSet]:
    """Take those of `devices` that are ready or leased out of the rollout, and return them.

    Devices that match a freeze are taken too. A batch whose lease has expired may claim these;
    another batch will not find them.
    """
    taken = devices & pending_devices(rollout, block)
    dispatch = rollout.dispatch
    leases = tuple(
        replace(lease, devices=lease.devices - taken) if lease.block == block else lease
        for lease in dispatch.leases
    )
    dispatch = replace(
        dispatch,
        ready=_remove_devices(dispatch.ready, block, taken),
        repeats=_remove_devices(dispatch.repeats, block, taken),
        leases=leases,
        freeze_matches=tuple(
            replace(item, devices=item.devices - taken) if item.block == block else item
            for item in dispatch.freeze_matches
        ),
    )
    return replace(rollout, dispatch=dispatch), taken


def return_devices(
    rollout: Rollout, block: int, devices: DeviceSet, *, repeat: bool = False
) -> Rollout:
    """Make devices that did not start ready for another lease."""
    if not devices:
        return rollout
    dispatch = rollout.dispatch
    if repeat:
        dispatch = replace(dispatch, repeats=_add_devices(dispatch.repeats, block, devices))
    else:
        dispatch = replace(dispatch, ready=_add_devices(dispatch.ready, block, devices))
    return replace(rollout, dispatch=dispatch)


def mark_ready(moment: Moment, rollout: Rollout, block: Block) -> Rollout:
    """Make the devices of `block` ready that have no reason of their own to wait any longer."""
    startable = DeviceSet.of(
        [index for index, update in enumerate(block.updates) if update.state in _STARTABLE]
    )
    if not startable:
        return rollout
    candidates = startable & leased_devices(rollout, block.number)
    candidates -= pending_devices(rollout, block.number)
    candidates -= rollout.dispatch.frozen.get(block.number, NO_DEVICES)
    found = [
        (index, block.updates[index].in_doubt)
        for index in candidates
        if readiness.is_ready(moment, block.updates[index])
    ]
    if not found:
        return rollout
    frozen = _find_frozen(rollout, block)
    rollout = _freeze_devices(rollout, block.number, frozen & DeviceSet.of(i for i, _ in found))
    ready = DeviceSet.of(index for index, in_doubt in found if not in_doubt) - frozen
    repeats = DeviceSet.of(index for index, in_doubt in found if in_doubt) - frozen
    rollout = return_devices(rollout, block.number, ready)
    return return_devices(rollout, block.number, repeats, repeat=True)


def _find_frozen(rollout: Rollout, block: Block) -> DeviceSet:
    """Return the devices of a block whose strata are frozen."""
    found = frozen_strata(rollout)
    if not found:
        return NO_DEVICES
    updates = enumerate(block.updates)
    return DeviceSet.of(index for index, update in updates if update.stratum in found)


def _freeze_devices(rollout: Rollout, block: int, devices: DeviceSet) -> Rollout:
    """Keep devices that could start until their strata are resumed."""
    if not devices:
        return rollout
    dispatch = rollout.dispatch
    kept = _add_devices(dispatch.frozen, block, devices)
    return replace(rollout, dispatch=replace(dispatch, frozen=kept))


def pending_devices(rollout: Rollout, block: int) -> DeviceSet:
    """Return the devices of a block that are ready, leased, or match the condition of a freeze."""
    dispatch = rollout.dispatch
    found = dispatch.ready.get(block, NO_DEVICES) | dispatch.repeats.get(block, NO_DEVICES)
    kept = [(item.block, item.devices) for item in dispatch.leases]
    for number, devices in kept + [(item.block, item.devices) for item in dispatch.freeze_matches]:
        if number == block:
            found |= devices
    return found


def leased_devices(rollout: Rollout, block: int) -> DeviceSet:
    """Return the devices of a block that were leased at least once."""
    leased = (
        devices_between(block, wave.first, wave.first + wave.leased) for wave in rollout.waves
    )
    return reduce(DeviceSet.__or__, leased, NO_DEVICES)


def _add_devices(
    known: Mapping[int, DeviceSet], block: int, devices: DeviceSet
) -> Mapping[int, DeviceSet]:
    return {**known, block: known.get(block, NO_DEVICES) | devices}


def _remove_devices(
    known: Mapping[int, DeviceSet], block: int, devices: DeviceSet
) -> Mapping[int, DeviceSet]:
    left = {**known, block: known.get(block, NO_DEVICES) - devices}
    return {number: found for number, found in left.items() if found}
