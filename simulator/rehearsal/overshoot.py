"""Count the devices that a bad firmware reached after its failures could have stopped it.

Overshoot is what observing devices late and starting them in batches costs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import gate
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault


class _Failure(NamedTuple):
    """When an update failed on its device, in seconds since 1970; infinite if never."""

    at: float
    wave: int
    start_rank: int


def count_overshoot(
    rollout: Rollout, updates: Sequence[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> int:
    """Return how many devices were started after the gate could have been breached.

    That is when the gate would have been breached had every end been observed at once. Returns 0
    if the gate did not stop the rollout.
    """
    if rollout.status_reason is None or rollout.status_reason.code != gate.CODE:
        return 0
    breached_at = _breached_at(rollout, sorted(_failures(updates, devices)))
    starts = (item.dispatched_at for item in updates if item.dispatched_at is not None)
    return sum(at.timestamp() > breached_at for at in starts)


def _failures(
    updates: Iterable[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> Iterator[_Failure]:
    for item in updates:
        device = devices[item.device_id]
        if device.latest is not None and device.fault is Fault.FAILING and item.start_rank:
            yield _Failure(device.latest.ends_at, item.wave, item.start_rank)


def _breached_at(rollout: Rollout, failures: Iterable[_Failure]) -> float:
    """Return when the gate would be breached, by failures in order of time; infinite if never."""
    sequences = defaultdict[int, GateSequence](GateSequence)
    for at, wave, rank in failures:
        sequences[wave] = sequences[wave].fail(rank)
        limits = gate.limits_of(rollout, rollout.waves[wave])
        if gate.is_breached(limits, sequences[wave].prefixes()):
            return at
    return inf
