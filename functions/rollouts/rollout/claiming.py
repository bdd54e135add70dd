"""The claims of one hand-out: which of its devices are asked at this very moment, in order."""

from collections.abc import Mapping
from dataclasses import dataclass

from functions.rollouts.device import following, invoking
from functions.rollouts.device.moves import Moment
from functions.rollouts.model.device_update import DeviceTwin, DeviceUpdate
from functions.rollouts.model.rollout import Block
from functions.rollouts.rollout import starts
from functions.rollouts.rollout.permission import free_places, obstacle, obstacle_but_limit


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of a hand-out: its block then, and the claimed updates by their place in it.

    `returned` has a bit for each place whose device could not have its turn.
    """

    block: Block
    updates: Mapping[int, DeviceUpdate]
    returned: int


def claimed(
    at: Moment,
    block: Block,
    members: int,
    twins: Mapping[str, DeviceTwin | None],
    locked_by: Mapping[str, str],
) -> ClaimResult:
    """Claim each device that may start now.

    `twins` has None for a device that the hub does not know, and lacks those that were not read;
    `locked_by` names, for a device that cannot refuse, the other rollout that has it in hand.
    """
    turns = _Turns(at, twins, locked_by)
    updates = list(block.updates)
    for place in starts.places(members):
        updates[place] = turns.take(place, updates[place])
    return ClaimResult(Block(block.number, tuple(updates)), turns.claimed, turns.returned)


def may_start(at: Moment, update: DeviceUpdate) -> bool:
    """Whether it is worth to look at the device's twin: it could be claimed as far as is known."""
    find = obstacle_but_limit if update.in_doubt else obstacle  # a repeat holds a place already
    return invoking.may_send(at, update) and find(at.rollout, update.wave, at.now) is None


class _Turns:
    """The turns of one hand-out's devices, one after the other."""

    def __init__(
        self, at: Moment, twins: Mapping[str, DeviceTwin | None], locked_by: Mapping[str, str]
    ) -> None:
        self.claimed: dict[int, DeviceUpdate] = {}
        self.returned = 0
        self._at = at
        self._twins = twins
        self._held_by = locked_by
        self._free = free_places(at.rollout)
        self._closed = {
            number: obstacle_but_limit(at.rollout, number, at.now)
            for number in range(len(at.rollout.waves))
        }

    def take(self, place: int, update: DeviceUpdate) -> DeviceUpdate:
        at = self._at
        if not invoking.may_send(at, update):
            return update
        if update.device_id not in self._twins or not self._has_place(update):
            self.returned |= 1 << place
            return update
        twin = self._twins[update.device_id] or _unknown(update.device_id)
        seen = following.observe(at, update, twin)
        if seen.attempt != update.attempt or not invoking.may_send(at, seen):
            return seen
        if update.device_id in self._held_by:
            other = self._held_by[update.device_id]
            return invoking.wait_for_turn(at, seen, f"The device is busy with rollout {other}.")
        if self._free is not None and not update.in_doubt:
            self._free -= 1
        self.claimed[place] = invoking.claim(at, seen, twin)
        return self.claimed[place]

    def _has_place(self, update: DeviceUpdate) -> bool:
        if self._closed[update.wave] is not None:
            return False
        return self._free is None or self._free > 0 or update.in_doubt


def _unknown(device_id: str) -> DeviceTwin:
    """Stands for a device that the hub does not know; the hub will refuse its method."""
    return DeviceTwin(device_id=device_id, connected=False, reported={}, reported_at={})
