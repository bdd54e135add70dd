"""Simulate a disk that may lose power at each operation, and count the operations."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from device_agent.ports import Writer


class PowerLossError(BaseException):
    """The device has lost power; nothing after this runs."""


@dataclass
class Power:
    """The power supply: fails at the `fails_at`th operation from now; None never."""

    fails_at: int | None = None
    count: int = 0
    out: bool = False

    def tick(self) -> None:
        if self.out:
            raise PowerLossError
        self.count += 1
        if self.fails_at is not None and self.count >= self.fails_at:
            self.out = True
            raise PowerLossError

    def back(self, fails_at: int | None) -> None:
        self.fails_at, self.count, self.out = fails_at, 0, False


@dataclass
class VolatileDisk:
    """A storage in memory: `kept` survives a loss of power, `seen` is what programs read."""

    power: Power = field(default_factory=Power)
    space: int = 1 << 40
    kept: dict[str, bytes] = field(default_factory=dict)
    seen: dict[str, bytearray] = field(default_factory=dict)
    session: str = "0"

    def lose_power(self, chance: random.Random) -> None:
        """Simulate a loss of power: unsynced data may be kept, missing, cut off or damaged."""
        self.session = str(int(self.session) + 1)
        for name in list(self.seen):
            old, new = self.kept.get(name), bytes(self.seen[name])
            if old == new:
                continue
            found = self._after_loss(chance, old, new)
            if found is None:
                self.seen.pop(name)
                self.kept.pop(name, None)
            else:
                self.kept[name], self.seen[name] = found, bytearray(found)

    def _after_loss(self, chance: random.Random, old: bytes | None, new: bytes) -> bytes | None:
        pairs = zip(old or b"", new, strict=False)
        safe = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        match chance.choice(["old", "cut", "zeros", "new"]):
            case "old":
                return old
            case "cut":
                return new[: chance.randint(safe, len(new))]
            case "zeros":
                at = chance.randint(safe, len(new))
                return new[:at] + bytes(len(new) - at)
        return new

    def read(self, name: str) -> bytes | None:
        return bytes(self.seen[name]) if name in self.seen else None

    def replace(self, name: str, content: bytes) -> None:
        self.power.tick()
        self.kept[name], self.seen[name] = content, bytearray(content)
        self.power.tick()

    @contextmanager
    def append(self, name: str, offset: int) -> Iterator[Writer]:
        self.power.tick()
        content = self.seen.setdefault(name, bytearray())
        assert offset <= len(content), "a hole in the file"
        del content[offset:]
        yield _File(self, name)

    def chunks(self, name: str) -> Iterator[bytes]:
        content = bytes(self.seen.get(name, b""))
        for start in range(0, len(content), 700):
            yield content[start : start + 700]

    def size(self, name: str) -> int:
        return len(self.seen.get(name, b""))

    def delete(self, name: str) -> None:
        self.power.tick()
        self.seen.pop(name, None)
        self.kept.pop(name, None)
        self.power.tick()

    def free_bytes(self) -> int:
        return self.space - sum(map(len, self.seen.values()))


@dataclass
class _File:
    disk: VolatileDisk
    name: str

    def write(self, chunk: bytes) -> None:
        half = len(chunk) // 2
        self.disk.power.tick()
        self.disk.seen[self.name] += chunk[:half]
        self.disk.power.tick()
        self.disk.seen[self.name] += chunk[half:]

    def sync(self) -> None:
        self.disk.power.tick()
        self.disk.kept[self.name] = bytes(self.disk.seen[self.name])
        self.disk.power.tick()
