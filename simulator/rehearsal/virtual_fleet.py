"""A virtual fleet made from a seed: fault, stratum, speed and offline times of each device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from simulator.rehearsal import outages, strata
from simulator.rehearsal.durations import Durations
from simulator.rehearsal.outages import Outage, Period
from simulator.rehearsal.strata import Stratum
from simulator.rehearsal.virtual_device import StageSeconds, VirtualDevice
from simulator.simulated_fleet.shares import Fault, Shares, choose_faults

NO_FAULTS = Shares()
DEFAULT_UPDATE = Durations(55, 127)
"""How long an update takes on a device without a fault."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take. Times offline and online are exponentially distributed, in seconds."""

    update_takes: Durations = DEFAULT_UPDATE
    """From the direct method to the report of success."""
    fail_after: Durations | None = None
    """From the direct method to the report of failure; None: as `update_takes`."""
    stage_seconds: StageSeconds = (1.0, 60.0, 30.0, 300.0)
    """Stages in proportion; the first three add up to an update. The last, until a revert, is in
    seconds for a device of median speed."""
    offline_seconds: float = 4 * _HOUR
    """Mean time until an offline device comes back for the first time."""
    online_seconds: float = 2 * _HOUR
    """Mean time until such a device goes offline again."""
    flap_seconds: float = 900.0
    """Mean time offline after that."""
    max_flaps: int = 2
    """How often a device that came back goes offline again, at most."""

    def durations(self, fault: Fault) -> Durations:
        """Return the time from the direct method to the end of an update."""
        failing = fault is Fault.FAILING and self.fail_after is not None
        return self.fail_after if failing and self.fail_after is not None else self.update_takes

    def stages(self, fault: Fault) -> StageSeconds:
        """Return the stages of a device of median speed."""
        first, second, third, revert = self.stage_seconds
        unit = self.durations(fault).median / (first + second + third)
        return (first * unit, second * unit, third * unit, revert)


DEFAULT_TIMING = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What the devices of one stratum have in common."""

    stratum: str
    timing: Timing
    stages: Mapping[Fault, StageSeconds]


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
    planned_strata: Sequence[Stratum] = (),
    planned_outages: Sequence[Outage] = (),
) -> list[VirtualDevice]:
    """Return one device for each id. Equal arguments return equal fleets.

    A device whose fault is OFFLINE is offline at `start`. Outages count from `start`. All other
    devices are online. Raises ValueError for strata that cannot be.
    """
    random = Random(seed)
    begins = start.timestamp()
    kinds, faults = _choose_kinds(ids, seed, shares, timing, planned_strata)
    fleet = []
    for device_id in ids:
        fault, kind = faults[device_id], kinds[device_id]
        offline = fault is Fault.OFFLINE
        device = VirtualDevice(
            device_id,
            fault=fault,
            stage_seconds=kind.stages[fault],
            time_factor=kind.timing.durations(fault).draw_factor(random),
            offline=offline,
            connection_changes=_draw_connection_changes(random, begins, timing) if offline else (),
            stratum=kind.stratum,
        )
        fleet.append(device)
    _take_away(fleet, planned_outages, begins, seed)
    return fleet


def _choose_kinds(
    ids: Sequence[str], seed: int, shares: Shares, timing: Timing, planned: Sequence[Stratum]
) -> tuple[Mapping[str, _Kind], Mapping[str, Fault]]:
    """Return the kind and the fault of each device."""
    if not planned:
        return dict.fromkeys(ids, _kind("", timing)), choose_faults(ids, shares, seed)
    all_strata = strata.complete(planned)
    assigned = strata.assign(ids, all_strata, seed)
    by_stratum: dict[str, list[str]] = {stratum.name: [] for stratum, _ in all_strata}
    for device_id in ids:
        by_stratum[assigned[device_id].name].append(device_id)
    kinds: dict[str, _Kind] = {}
    faults: dict[str, Fault] = {}
    for stratum, _ in all_strata:
        own = replace(
            timing,
            update_takes=stratum.update_takes or timing.update_takes,
            fail_after=stratum.fail_after or timing.fail_after,
        )
        kinds |= dict.fromkeys(by_stratum[stratum.name], _kind(stratum.name, own))
        faults |= choose_faults(by_stratum[stratum.name], stratum.shares(shares), seed)
    return kinds, faults


def _kind(stratum: str, timing: Timing) -> _Kind:
    stages = {fault: timing.stages(fault) for fault in Fault}
    return _Kind(stratum=stratum, timing=timing, stages=stages)


def _take_away(
    fleet: Sequence[VirtualDevice], planned: Sequence[Outage], begins: float, seed: int
) -> None:
    """Disconnect the devices of each outage for its time."""
    shared: dict[tuple[Period, ...], tuple[bool, tuple[float, ...]]] = {}
    for device in fleet if planned else ():
        away = tuple(
            Period(begins + outage.start, begins + outage.start + outage.seconds)
            for number, outage in enumerate(planned)
            if outages.is_hit(outage, number, device.stratum, device.device_id, seed)
        )
        if away and not device.offline and not device.connection_changes:
            # Most devices have only the outages, so that they can share one record of them.
            if away not in shared:
                shared[away] = outages.merge(away)
            device.offline, device.connection_changes = shared[away]
        elif away:
            own = outages.offline_periods(device.connection_changes, offline=device.offline)
            device.offline, device.connection_changes = outages.merge((*own, *away))


def _draw_connection_changes(random: Random, begins: float, timing: Timing) -> tuple[float, ...]:
    """Return when a device comes back, goes offline and comes back again, in turn."""
    at = begins + random.expovariate(1 / timing.offline_seconds)
    changes = [at]
    for _ in range(random.randint(0, timing.max_flaps)):
        for mean in (timing.online_seconds, timing.flap_seconds):
            at += random.expovariate(1 / mean)
            changes.append(at)
    return tuple(changes)
