"""Sets of devices of one block, by their indexes inside the block."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceSet:
    """An immutable set of indexes inside a block, iterated in ascending order.

    `mask` has the bit `1 << index` set for each index of the set.
    """

    mask: int = 0

    @classmethod
    def of(cls, indexes: Iterable[int]) -> "DeviceSet":
        """Return the set of `indexes`."""
        mask = 0
        for index in indexes:
            mask |= 1 << index
        return cls(mask)

    @classmethod
    def between(cls, first: int, end: int) -> "DeviceSet":
        """Return the set of the indexes from `first` to before `end`."""
        return cls(((1 << max(end - first, 0)) - 1) << first)

    def __iter__(self) -> Iterator[int]:
        mask = self.mask
        while mask:
            lowest = mask & -mask
            yield lowest.bit_length() - 1
            mask ^= lowest

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return self.mask != 0

    def __contains__(self, index: int) -> bool:
        return bool(self.mask >> index & 1)

    def __or__(self, other: "DeviceSet") -> "DeviceSet":
        return DeviceSet(self.mask | other.mask)

    def __and__(self, other: "DeviceSet") -> "DeviceSet":
        return DeviceSet(self.mask & other.mask)

    def __sub__(self, other: "DeviceSet") -> "DeviceSet":
        return DeviceSet(self.mask & ~other.mask)

    def first(self, count: int) -> "DeviceSet":
        """Return the `count` lowest indexes, or all if the set has no more."""
        rest = self.mask
        for _ in range(min(count, len(self))):
            rest &= rest - 1  # clears the lowest bit
        return DeviceSet(self.mask ^ rest)


NO_DEVICES = DeviceSet()
