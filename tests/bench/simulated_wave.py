"""Simulated waves for the failure gate: which devices fail, and when each update ends.

Only failures can stop a wave, so a wave is drawn as its failures. Healthy ends are drawn on demand,
for rules that count them.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

# Durations differ between devices: evenly from 0.6 to 1.4 times the mean.
_SHORTEST, _RANGE = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class Timing:
    """How long updates take, in seconds, and what share of the devices never ends."""

    name: str
    fail_seconds: float
    healthy_seconds: float
    hanging: float = 0.0
    """Share of the devices that neither fail nor complete, 0..1."""


class Failure(NamedTuple):
    """A failed device; failures sort by the time of their end."""

    ended_at: float
    """Seconds since the wave opened."""
    position: int
    """Position in the start order of the wave, from 0."""


class SimulatedWave:
    """A wave of `size` devices that start at `rate` per second, or all at once if it is None.

    Each device that does not hang fails with probability `failing`, independent of all others.
    """

    __slots__ = ("_drawn", "_ends", "_failing", "_random", "_timing", "failures", "rate", "size")

    def __init__(
        self, size: int, failing: float, timing: Timing, rate: float | None, random: Random
    ) -> None:
        self.size, self.rate = size, rate
        self._timing, self._random = timing, random
        self._failing = failing * (1 - timing.hanging)
        self._ends: list[float] = []
        self._drawn = 0
        mean, draw = timing.fail_seconds, random.random
        step = 0.0 if rate is None else 1 / rate
        self.failures: Sequence[Failure] = sorted(
            Failure(position * step + mean * (_SHORTEST + _RANGE * draw()), position)
            for position in _draw_positions(size, self._failing, random)
        )

    def started_by(self, seconds: float) -> int:
        """Return how many devices have started."""
        if self.rate is None:
            return self.size
        return min(self.size, int(seconds * self.rate + 1e-9) + 1)

    def healthy_by(self, seconds: float) -> int:
        """Return how many devices have completed."""
        shortest = self._timing.healthy_seconds * _SHORTEST
        if seconds >= shortest:
            self._draw_ends(self.started_by(seconds - shortest))
        return bisect_right(self._ends, seconds)

    def _draw_ends(self, devices: int) -> None:
        """Draw when the first `devices` devices complete, as far as they do."""
        if devices <= self._drawn:
            return
        failed = {failure.position for failure in self.failures}
        # Of the devices that do not fail.
        healthy = (1 - self._timing.hanging - self._failing) / (1 - self._failing or 1)
        mean, draw = self._timing.healthy_seconds, self._random.random
        step = 0.0 if self.rate is None else 1 / self.rate
        self._ends += [
            position * step + mean * (_SHORTEST + _RANGE * draw())
            for position in range(self._drawn, devices)
            if position not in failed and (healthy == 1 or draw() < healthy)
        ]
        self._ends.sort()
        self._drawn = devices


def _draw_positions(size: int, failing: float, random: Random) -> Sequence[int]:
    """Draw the failed positions from the gaps between them, which are geometric."""
    if failing in {0, 1}:
        return range(size) if failing else ()
    scale, draw, log = math.log1p(-failing), random.random, math.log
    positions: list[int] = []
    position = -1
    while True:
        position += 1 + int(log(1 - draw()) / scale)
        if position >= size:
            return positions
        positions.append(position)
