"""How much further a bad firmware got than it had to: what reading and pacing cost."""

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


class _End(NamedTuple):
    """When a device's update really ended, in seconds since 1970; never is infinite."""

    at: float
    wave: int
    failed: bool


def overshoot(
    rollout: Rollout, updates: Sequence[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> int:
    """Devices that were asked after the devices' own ends had proved the firmware bad.

    Proved is what the gate would have said to somebody who saw every end the moment it happened.
    A rollout that its gate did not stop has none.
    """
    if rollout.status_reason is None or rollout.status_reason.code != gate.CODE:
        return 0
    proved = _proved_at(rollout, sorted(_ends(updates, devices)))
    asked = (item.dispatched_at for item in updates if item.dispatched_at is not None)
    return sum(at.timestamp() > proved for at in asked)


def _ends(updates: Iterable[DeviceUpdate], devices: Mapping[str, VirtualDevice]) -> Iterator[_End]:
    for item in updates:
        device = devices[item.device_id]
        if device.latest is not None:
            yield _End(device.latest.ends_at, item.wave, device.fault is Fault.FAILING)


def _proved_at(rollout: Rollout, ends: Iterable[_End]) -> float:
    """When the gate would have been breached, from ends in order of time; never is infinite."""
    failed, healthy = Counter[int](), Counter[int]()
    limits = rollout.strategy.failure_gate
    for at, wave, has_failed in ends:
        (failed if has_failed else healthy)[wave] += 1
        if has_failed and gate.judge(limits, failed[wave], healthy[wave]) is _BREACHED:
            return at
    return inf
