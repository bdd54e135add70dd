"""A virtual fleet made from a seed: the fault, the speed and the offline times of each device."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from simulator.rehearsal.virtual_device import StageSeconds, VirtualDevice
from simulator.simulated_fleet.shares import Fault, Shares, choose_faults

NO_FAULTS = Shares()
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take, in seconds. Times offline and online are exponentially distributed."""

    stage_seconds: StageSeconds = (1.0, 60.0, 30.0, 300.0)
    """Stages of a device whose time factor is 1."""
    spread: float = 0.4
    """The time factor of each device is drawn evenly from 1 - spread to 1 + spread; 0..1."""
    offline_seconds: float = 4 * _HOUR
    """Mean time until an offline device comes back for the first time."""
    online_seconds: float = 2 * _HOUR
    """Mean time until such a device goes offline again."""
    flap_seconds: float = 900.0
    """Mean time offline after that."""
    max_flaps: int = 2
    """How often a device that came back goes offline again, at most."""


DEFAULT_TIMING = Timing()


def device_ids(count: int) -> list[str]:
    """Return `count` ids, such as device-0001."""
    width = max(4, len(str(count)))
    return [f"device-{number:0{width}d}" for number in range(1, count + 1)]


def virtual_fleet(
    ids: Sequence[str],
    start: datetime,
    seed: int = 1,
    *,
    shares: Shares = NO_FAULTS,
    timing: Timing = DEFAULT_TIMING,
) -> list[VirtualDevice]:
    """Return one device for each id. Equal arguments return equal fleets.

    A device whose fault is OFFLINE is offline at `start`; all others stay online.
    """
    random = Random(seed)
    faults = choose_faults(ids, shares, seed)
    begins = start.timestamp()
    fastest, range_ = 1.0 - timing.spread, 2 * timing.spread
    fleet = []
    for device_id in ids:
        fault = faults[device_id]
        offline = fault is Fault.OFFLINE
        device = VirtualDevice(
            device_id,
            fault=fault,
            stage_seconds=timing.stage_seconds,
            time_factor=fastest + range_ * random.random(),
            offline=offline,
            connection_changes=_draw_connection_changes(random, begins, timing) if offline else (),
        )
        fleet.append(device)
    return fleet


def _draw_connection_changes(random: Random, begins: float, timing: Timing) -> tuple[float, ...]:
    """Return when a device comes back, goes offline and comes back again, in turn."""
    at = begins + random.expovariate(1 / timing.offline_seconds)
    changes = [at]
    for _ in range(random.randint(0, timing.max_flaps)):
        for mean in (timing.online_seconds, timing.flap_seconds):
            at += random.expovariate(1 / mean)
            changes.append(at)
    return tuple(changes)
