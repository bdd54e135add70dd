"""Count the devices that a bad firmware reached after its failures could have stopped it.

Overshoot is what observing devices late and starting them in batches costs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import gate
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault

_BREACHED = gate.Verdict.BREACHED


class _UpdateEnd(NamedTuple):
    """When an update ended on its device, in seconds since 1970; infinite if never."""

    at: float
    wave: int
    failed: bool


def count_overshoot(
    rollout: Rollout, updates: Sequence[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> int:
    """Return how many devices were started after the gate could have been breached.

    That is when the gate would have been breached had every end been observed at once. Returns 0
    if the gate did not stop the rollout.
    """
    if rollout.status_reason is None or rollout.status_reason.code != gate.CODE:
        return 0
    breached_at = _breached_at(rollout, sorted(_update_ends(updates, devices)))
    starts = (item.dispatched_at for item in updates if item.dispatched_at is not None)
    return sum(at.timestamp() > breached_at for at in starts)


def _update_ends(
    updates: Iterable[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> Iterator[_UpdateEnd]:
    for item in updates:
        device = devices[item.device_id]
        if device.latest is not None:
            failed = device.fault is Fault.FAILING
            yield _UpdateEnd(device.latest.ends_at, item.wave, failed)


def _breached_at(rollout: Rollout, ends: Iterable[_UpdateEnd]) -> float:
    """Return when the gate would be breached, from ends in order of time; infinite if never."""
    failed, healthy = Counter[int](), Counter[int]()
    limits = rollout.strategy.failure_gate
    for at, wave, has_failed in ends:
        (failed if has_failed else healthy)[wave] += 1
        if has_failed and gate.judge(limits, failed[wave], healthy[wave]) is _BREACHED:
            return at
    return inf
