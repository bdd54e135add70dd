"""Count the devices that a bad firmware reached after its failures could have stopped it.

Overshoot is what observing devices late and starting them in batches costs.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    rank: int
    """Start rank in the wave or stratum."""


def count_overshoot(
    rollout: Rollout, updates: Sequence[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> int:
    """Return how many devices were started after the gate could have been breached.

    That is when the gate would have been breached had every end been observed at once. If the gate
    froze strata, the devices of each are counted from its own breach on. Returns 0 if the gate
    stopped nothing.
    """
    failing = [item for item in updates if _fails(item, devices)]
    by_stratum = _strata_breached_at(rollout, failing, devices)
    frozen = {index for index, item in enumerate(rollout.stratum_gates) if item.frozen is not None}
    stopped = rollout.status_reason is not None and rollout.status_reason.code == gate.CODE
    everywhere = inf
    if stopped:
        by_wave = _waves_breached_at(rollout, failing, devices)
        everywhere = min((*by_wave.values(), *by_stratum.values()), default=inf)
    return sum(
        item.dispatched_at.timestamp()
        > (by_stratum.get(item.stratum, inf) if item.stratum in frozen else everywhere)
        for item in updates
        if item.dispatched_at is not None
    )


def _fails(update: DeviceUpdate, devices: Mapping[str, VirtualDevice]) -> bool:
    device = devices[update.device_id]
    has_begun = device.latest is not None and update.start_rank is not None
    return has_begun and device.fault is Fault.FAILING


def _waves_breached_at(
    rollout: Rollout, failing: Iterable[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> Mapping[int, float]:
    found = defaultdict[int, list[_Failure]](list)
    for item in failing:
        found[item.wave].append(_Failure(_ends_at(item, devices), item.start_rank or 0))
    return {
        wave: _breached_at(gate.limits_of(rollout, rollout.waves[wave]), failures)
        for wave, failures in found.items()
    }


def _strata_breached_at(
    rollout: Rollout, failing: Iterable[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> Mapping[int | None, float]:
    found = defaultdict[int | None, list[_Failure]](list)
    for item in failing:
        if item.stratum_rank is not None:
            found[item.stratum].append(_Failure(_ends_at(item, devices), item.stratum_rank))
    limits = gate.limits_of_strata(rollout)
    return {stratum: _breached_at(limits, failures) for stratum, failures in found.items()}


def _ends_at(update: DeviceUpdate, devices: Mapping[str, VirtualDevice]) -> float:
    latest = devices[update.device_id].latest
    return latest.ends_at if latest is not None else inf


def _breached_at(limits: gate.Limits, failures: Sequence[_Failure]) -> float:
    """Return when the gate would be breached; infinite if never."""
    sequence = GateSequence()
    for at, rank in sorted(failures):
        sequence = sequence.fail(rank)
        if gate.is_breached(limits, sequence.prefixes()):
            return at
    return inf
