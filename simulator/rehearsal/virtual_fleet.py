"""A pretended fleet from a seed: which devices misbehave, how fast and how often away each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from simulator.rehearsal.virtual_device import StageSeconds, VirtualDevice
from simulator.simulated_fleet.shares import Fault, Shares, choose_faults

NO_MISBEHAVIOUR = Shares()
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take, in seconds.

    `stage_seconds` is for a device of average speed; each device's speed is drawn evenly from
    `spread` (0..1) below and above it. Times away and in between are drawn from exponential
    distributions with these means; a device that has come back goes away `flaps` times at most.
    """

    stage_seconds: StageSeconds = (1.0, 60.0, 30.0, 300.0)
    spread: float = 0.4
    away_seconds: float = 4 * _HOUR
    flap_seconds: float = 900.0
    there_seconds: float = 2 * _HOUR
    flaps: int = 2


DEFAULT_TIMING = Timing()


def device_ids(count: int) -> list[str]:
    """Names for a fleet whose devices nobody has named."""
    width = max(4, len(str(count)))
    return [f"device-{number:0{width}d}" for number in range(1, count + 1)]


def virtual_fleet(
    ids: Sequence[str],
    start: datetime,
    seed: int = 1,
    *,
    shares: Shares = NO_MISBEHAVIOUR,
    timing: Timing = DEFAULT_TIMING,
) -> list[VirtualDevice]:
    """One device for each id; the same arguments give the same fleet.

    A device that is offline by conduct is away at `start`, the others are there all the time.
    """
    source = Random(seed)
    conduct_of = choose_faults(ids, shares, seed)
    begins = start.timestamp()
    lowest, range_ = 1.0 - timing.spread, 2 * timing.spread
    fleet = []
    for device_id in ids:
        conduct = conduct_of[device_id]
        offline = conduct is Fault.OFFLINE
        device = VirtualDevice(
            device_id,
            conduct=conduct,
            stage_seconds=timing.stage_seconds,
            speed=lowest + range_ * source.random(),
            away=offline,
            turns=_turns(source, begins, timing) if offline else (),
        )
        fleet.append(device)
    return fleet


def _turns(source: Random, begins: float, timing: Timing) -> tuple[float, ...]:
    """When a device comes back, and goes away and comes back again."""
    at = begins + source.expovariate(1 / timing.away_seconds)
    turns = [at]
    for _ in range(source.randint(0, timing.flaps)):
        for mean in (timing.there_seconds, timing.flap_seconds):
            at += source.expovariate(1 / mean)
            turns.append(at)
    return tuple(turns)
