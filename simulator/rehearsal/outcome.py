"""The outcome of a rehearsal, and its JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from functions.rollouts.model import wave
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Counts
from simulator.rehearsal import outages
from simulator.rehearsal.meter import Operations
from simulator.rehearsal.moments import list_quota_waits, status_seconds
from simulator.rehearsal.outages import Outage, OutagePeriod
from simulator.rehearsal.timeline import Timeline
from simulator.rehearsal.virtual_device import VirtualDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumOutcome:
    """How a rehearsal ended for the devices of one stratum."""

    name: str
    counts: Counts
    started: int
    """Number of its devices that began an update."""
    frozen: bool = False
    """Whether the gate stopped it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a rehearsal ended."""

    rollout: Rollout
    started: int
    """Number of updates that devices began."""
    overshoot: int
    """Devices that were started after enough devices had failed to breach the gate; 0 if the gate
    did not stop the rollout."""
    operations: Operations
    strata: Sequence[StratumOutcome] = ()
    """In order of their names; empty if the fleet has no strata."""
    outages: Sequence[OutagePeriod] = ()


def count_strata(
    rollout: Rollout, updates: Sequence[DeviceUpdate], devices: Mapping[str, VirtualDevice]
) -> Sequence[StratumOutcome]:
    """Count the devices of each stratum by state."""
    states: dict[str, list[DeviceState]] = {}
    started: dict[str, int] = {}
    gates = zip(rollout.strata, rollout.stratum_gates, strict=False)
    frozen = {name for name, judged in gates if judged.frozen is not None}
    for update in updates:
        device = devices[update.device_id]
        states.setdefault(device.stratum, []).append(update.state)
        started[device.stratum] = started.get(device.stratum, 0) + (device.latest is not None)
    return [
        StratumOutcome(
            name=name,
            counts=wave.count(states[name]),
            started=started[name],
            frozen=name in frozen,
        )
        for name in sorted(states)
    ]


def locate_outages(
    planned: Sequence[Outage], delay: timedelta, fleet: Sequence[VirtualDevice], seed: int
) -> Sequence[OutagePeriod]:
    """Return the outages on the time axis; the rollout starts `delay` after its beginning."""
    return [
        OutagePeriod(
            begins=delay.total_seconds() + outage.start,
            ends=delay.total_seconds() + outage.start + outage.seconds,
            where=outages.describe(outage),
            devices=sum(
                outages.is_hit(outage, number, device.stratum, device.device_id, seed)
                for device in fleet
            ),
        )
        for number, outage in enumerate(planned)
    ]


def to_json(outcome: Outcome, timeline: Timeline) -> dict[str, Any]:
    """Return the outcome as `rehearse --json` prints it."""
    rollout = outcome.rollout
    reason = rollout.status_reason
    operations = outcome.operations
    return {
        "status": rollout.status.value,
        "statusReason": {"code": reason.code, "message": reason.message} if reason else None,
        "counts": _counts(rollout.counts),
        "waves": [
            {
                "name": wave.name,
                "size": wave.size,
                "status": wave.status.value,
                "completed": wave.counts.completed,
                "failed": wave.counts.failed,
            }
            for wave in rollout.waves
        ],
        "strata": [
            {
                "name": item.name,
                "started": item.started,
                "frozen": item.frozen,
                "counts": _counts(item.counts),
            }
            for item in outcome.strata
        ],
        "outages": [
            {"begins": item.begins, "ends": item.ends, "where": item.where, "devices": item.devices}
            for item in outcome.outages
        ],
        "quotaWaits": [
            {"begins": item.begins, "ends": item.ends} for item in list_quota_waits(timeline)
        ],
        "seconds": timeline.seconds,
        "statusSeconds": status_seconds(rollout, timeline),
        "started": outcome.started,
        "overshoot": outcome.overshoot,
        "hubOperations": {
            "methods": operations.methods,
            "twinReads": operations.twin_reads,
            "twinUpdates": operations.twin_updates,
            "queries": operations.queries,
            "messages": operations.messages,
        },
    }


def _counts(counts: Counts) -> dict[str, int]:
    found = asdict(counts)
    found["updating"] += found.pop("soaking")
    return {**found, "total": counts.total}
