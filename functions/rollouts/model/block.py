"""Blocks: neighbouring device updates that are stored together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import is_

from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.wave import Wave

# Device updates of one block: neighbours in the start order.
BLOCK_SIZE = 100


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """What a rollout knows of one of its blocks without reading it."""

    due_at: datetime | None  # when the first of its devices needs attention; None: none does
    revision: int  # the rollout's revision when the block was last written


@dataclass(frozen=True, slots=True)
class Block:
    """The device updates from position `number * BLOCK_SIZE` of the start order on."""

    number: int
    updates: tuple[DeviceUpdate, ...]

    def apply(
        self, change: Callable[[DeviceUpdate], DeviceUpdate], indexes: Iterable[int] | None = None
    ) -> "Block":
        """Apply `change` to all updates, or to those at `indexes`.

        Returns self if nothing changed.
        """
        updates = list(self.updates)
        for index in range(len(updates)) if indexes is None else indexes:
            updates[index] = change(updates[index])
        unchanged = all(map(is_, updates, self.updates))
        return self if unchanged else Block(self.number, tuple(updates))

    def find(self, device_id: str) -> DeviceUpdate | None:
        """Return the update of a device, or None if it is not in this block."""
        return next((update for update in self.updates if update.device_id == device_id), None)


def assign_waves(block: Block, waves: Sequence[Wave]) -> Block:
    """Set each device's wave by its position. Return the block itself if no device changes.

    A block has the waves of the time at which it was stored. Waves that had not opened then may
    have changed since.
    """
    start, updates = block.number * BLOCK_SIZE, list(block.updates)
    for number, wave in enumerate(waves):
        indexes = range(
            max(wave.first - start, 0), min(wave.first + wave.size - start, len(updates))
        )
        for index in indexes:
            if updates[index].wave != number:
                updates[index] = updates[index]._replace(wave=number)
    unchanged = all(map(is_, updates, block.updates))
    return block if unchanged else Block(block.number, tuple(updates))


def blocks_for(devices: int) -> int:
    """Return how many blocks `devices` devices fill."""
    return -(-devices // BLOCK_SIZE)


def untouched_summaries(blocks: int) -> tuple[BlockSummary, ...]:
    """Return the summaries of `blocks` new blocks, whose devices have no due time."""
    return (BlockSummary(None, 0),) * blocks


def devices_between(block: int, first: int, end: int) -> DeviceSet:
    """Return the devices of a block at positions `first` to before `end` of the start order."""
    start = block * BLOCK_SIZE
    return DeviceSet.between(max(first - start, 0), min(end - start, BLOCK_SIZE))
