"""Find the devices that a rollback takes: those that run the undone firmware, or may run it.

The records of the undone rollout tell most. A device that a later rollout has brought to another
version has moved on, and stays. Twins settle the doubts, as many as a request can read.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.device import undoing
from functions.rollouts.device.undoing import Evidence
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.use_cases.services import Services

# Twins read one by one: a few seconds of a request, and of the hub's quota of reads.
MAX_TWINS_READ = 200
# States of devices that were sent a method; a queued device may have been, in an earlier attempt.
_TRIED = tuple(set(DeviceState) - {DeviceState.QUEUED})
_REACHED = undoing.RUNNING | IN_FLIGHT


class UndoneDevice(NamedTuple):
    """A device that may run the undone firmware."""

    update: DeviceUpdate  # in the undone rollout
    firmware: Firmware  # what the undone rollout brought it, or was to bring it
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class UndoneDevices:
    """The devices of an undone rollout that were sent its firmware."""

    taken: Mapping[str, UndoneDevice]  # by device id
    # Ids of the devices that are left out, by why.
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


def find(
    services: Services,
    snapshot: Snapshot,
    *,
    by_caller: bool,
    strata: Collection[int] | None = None,
) -> UndoneDevices:
    """Find the devices that a rollback of the rollout takes: all, or those of `strata`.

    An automatic rollback also leaves the devices that a later rollout is meant to reach.
    """
    sent = {
        item.update.device_id: item
        for item in _read_sent(services.stores.rollouts, snapshot)
        if strata is None or item.update.stratum in strata
    }
    moved_on = _find_moved_on(services, snapshot.rollout, sent, by_caller=by_caller)
    left = {name: item for name, item in sent.items() if name not in moved_on}
    others = _find_others(services, snapshot.rollout, left)
    reasons: dict[str, list[str]] = {}
    for device_id, later_id in moved_on.items():
        reasons.setdefault(f"that rollout {later_id} has brought on", []).append(device_id)
    if others:
        versions = sorted({item.version for item in snapshot.rollout.packages})
        reasons[f"not running {' or '.join(versions[:3])}"] = others
    taken = {name: item for name, item in left.items() if name not in set(others)}
    return UndoneDevices(taken, reasons)


def _read_sent(store: RolloutStore, snapshot: Snapshot) -> Iterator[UndoneDevice]:
    """Read the devices that were sent the firmware, in start order."""
    rollout = snapshot.rollout
    numbers = set(store.list_blocks_with(rollout.id, _TRIED))
    if rollout.counts.queued:
        numbers |= _leased_blocks(rollout)
    for number in sorted(numbers):
        for update in store.get_blocks(snapshot, [number]).updates_of(number):
            evidence = undoing.weigh(update)
            if evidence is not Evidence.NEVER_SENT:
                yield UndoneDevice(_slim(update, evidence), rollout.firmware_for(update), evidence)


def _slim(update: DeviceUpdate, evidence: Evidence) -> DeviceUpdate:
    """Drop what is not needed of a healthy device's update: there may be 100,000 of them."""
    if evidence is not Evidence.RUNS:
        return update
    return update._replace(method=None, explanation=None, history=update.history[-1:])


def _leased_blocks(rollout: Rollout) -> set[int]:
    """Return the numbers of the blocks with a device that was leased at least once."""
    return {
        number
        for wave in rollout.waves
        if wave.leased
        for number in range(
            wave.first // BLOCK_SIZE, (wave.first + wave.leased - 1) // BLOCK_SIZE + 1
        )
    }


def _find_moved_on(
    services: Services, undone: Rollout, sent: Mapping[str, UndoneDevice], *, by_caller: bool
) -> Mapping[str, str]:
    """Find the devices that later rollouts brought to another version, or are bringing to it.

    Return the newest such rollout's id, by device id. A later rollout that failed or never reached
    a device has not moved it on.
    """
    later = services.stores.targets.find_later(undone.id, sent.keys()) if sent else {}
    moved: dict[str, str] = {}
    stays: set[str] = set()  # brought to the undone version again
    for later_id, shared in later.items():  # newest first
        snapshot = services.stores.rollouts.get(later_id)
        open_ids = shared - moved.keys() - stays
        if snapshot is None or not open_ids:
            continue
        for update in _read_reached(services.stores.rollouts, snapshot, by_caller=by_caller):
            if update.device_id in open_ids:
                version = snapshot.rollout.firmware_for(update).version
                if version == sent[update.device_id].firmware.version:
                    stays.add(update.device_id)
                else:
                    moved[update.device_id] = later_id
    return moved


def _read_reached(
    store: RolloutStore, snapshot: Snapshot, *, by_caller: bool
) -> Iterator[DeviceUpdate]:
    """Read the updates that run a later rollout's firmware, or are being brought to it.

    For an automatic rollback, also those that the later rollout is meant to reach.
    """
    states = set(_REACHED)
    if not by_caller and snapshot.rollout.status is not RolloutStatus.CANCELLED:
        states.add(DeviceState.QUEUED)
    for number in store.list_blocks_with(snapshot.rollout.id, tuple(states)):
        updates = store.get_blocks(snapshot, [number]).updates_of(number)
        yield from (update for update in updates if update.state in states)


def _find_others(
    services: Services, undone: Rollout, devices: Mapping[str, UndoneDevice]
) -> list[str]:
    """Find the devices that do not run the undone firmware, by their twins where those are read."""
    in_doubt = [name for name, item in devices.items() if item.evidence is not Evidence.RUNS]
    healthy = [name for name, item in devices.items() if item.evidence is Evidence.RUNS]
    to_read = [*in_doubt, *healthy][:MAX_TWINS_READ]
    twins = services.hub.read_twins(to_read) if to_read else {}
    return [
        name
        for name, item in devices.items()
        if not undoing.is_to_undo(undone.id, item.update, item.firmware, twins.get(name))
    ]
