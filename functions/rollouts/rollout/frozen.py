"""Freeze strata, and describe a rollout without them.

A wave is judged without the devices of its frozen strata: they count neither for the success share
nor as evidence, and their failures are not the wave's. In the wave's start order they stay, as
healthy devices. That only raises the number of failures that a breach takes, so the gate's limit
holds for the strata that go on.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stop import ShownFailures
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.wave import COUNTERS, Counts, Wave, WaveStatus, add_up
from functions.rollouts.rollout import status

CODE = "stratumFrozen"


def frozen_strata(rollout: Rollout) -> frozenset[int]:
    """Return the indexes of the frozen strata."""
    gates = rollout.stratum_gates
    return frozenset(number for number, gate in enumerate(gates) if gate.frozen is not None)


def find_freeze(rollout: Rollout, stratum: int | None) -> FrozenStratum | None:
    """Return why the devices of a stratum may not start, or None."""
    if stratum is None or not rollout.stratum_gates:
        return None
    return rollout.stratum_gates[stratum].frozen


def freeze_reason(rollout: Rollout, stratum: int | None) -> Reason | None:
    """Return the reason of a device that waits because its stratum is frozen, or None."""
    found = find_freeze(rollout, stratum)
    if found is None or stratum is None:
        return None
    name = rollout.strata[stratum]
    message = f"stratum {name} is frozen. {found.reason.message}"
    return Reason(code=CODE, message=message)


def names_of(rollout: Rollout, strata: Collection[int]) -> str:
    return ", ".join(rollout.strata[number] for number in sorted(strata))


def without_frozen(rollout: Rollout, wave: Wave) -> Wave:
    """Return a wave without the devices of frozen strata; never store it.

    If every stratum is frozen, none is left out: nothing else could decide.
    """
    found = frozen_strata(rollout)
    if not found or not wave.strata or len(found) == len(rollout.stratum_gates):
        return wave
    parts = [wave.strata[number] for number in found]
    counts = add_up(part.counts for part in parts)
    left = {name: getattr(wave.counts, name) - getattr(counts, name) for name in COUNTERS}
    sequence = wave.sequence
    for rank in (rank for part in parts for rank in part.failed):
        sequence = sequence.withdraw(rank)
    return replace(
        wave,
        size=wave.size - counts.total,
        counts=Counts(**left),
        already_running=wave.already_running - sum(part.already_running for part in parts),
        not_started=wave.not_started - sum(part.not_started for part in parts),
        acknowledged_failed=max(
            0, wave.acknowledged_failed - sum(part.acknowledged_failed for part in parts)
        ),
        acknowledged_not_started=max(
            0, wave.acknowledged_not_started - sum(part.acknowledged_not_started for part in parts)
        ),
        sequence=sequence,
    )


def count_waiting(rollout: Rollout, strata: Collection[int]) -> int:
    """Return how many devices of these strata are queued."""
    return add_up(stratum_counts(rollout, number) for number in strata).queued


def stratum_counts(rollout: Rollout, stratum: int) -> Counts:
    """Return the counts of a stratum in all waves together."""
    return add_up(wave.strata[stratum].counts for wave in rollout.waves if wave.strata)


def count_frozen_queued(rollout: Rollout, wave: Wave) -> int:
    """Return how many devices of a wave wait in frozen strata."""
    if not wave.strata:
        return 0
    return sum(wave.strata[number].counts.queued for number in frozen_strata(rollout))


def cancelled_strata(rollout: Rollout) -> frozenset[int]:
    """Return the strata whose queued devices are cancelled."""
    gates = enumerate(rollout.stratum_gates)
    return frozenset(n for n, gate in gates if gate.frozen is not None and gate.frozen.is_cancelled)


def undone_strata(rollout: Rollout) -> frozenset[int]:
    """Return the strata that are being rolled back, or were."""
    gates = enumerate(rollout.stratum_gates)
    return frozenset(n for n, gate in gates if gate.frozen is not None and gate.frozen.rollback)


def has_due_rollback(rollout: Rollout) -> bool:
    """Return whether the rollback of a stratum was decided and is not created yet."""
    return any(
        gate.frozen is not None and isinstance(gate.frozen.rollback, RollbackDue)
        for gate in rollout.stratum_gates
    )


def waiting_strata(rollout: Rollout) -> list[int]:
    """Return the frozen strata that wait for an operator, also if all their devices have ended."""
    gates = enumerate(rollout.stratum_gates)
    return [
        number for number, gate in gates if gate.frozen is not None and not gate.frozen.is_cancelled
    ]


def describe_waiting(rollout: Rollout) -> Reason | None:
    """Return the reason of a rollout with devices that wait in frozen strata, or None."""
    waiting = waiting_strata(rollout)
    if not waiting:
        return None
    count = count_waiting(rollout, waiting)
    what = "stratum" if len(waiting) == 1 else "strata"
    why = " ".join(
        gate.frozen.reason.message
        for number, gate in enumerate(rollout.stratum_gates)
        if number in waiting and gate.frozen is not None
    )
    where = f"of frozen {what} {names_of(rollout, waiting)}"
    verb = "waits" if count == 1 else "wait"
    waits = (
        f"{texts.count(count, 'device')} {where} {verb}" if count else f"No device {where} waits"
    )
    return Reason(code=CODE, message=f"{waits}. {why}")


def without_frozen_stops(rollout: Rollout) -> Rollout:
    """Return the rollout without the stops that only say that frozen strata wait."""
    kept = tuple(stop for stop in rollout.stops if stop.reason.code != CODE)
    return rollout if len(kept) == len(rollout.stops) else replace(rollout, stops=kept)


def describe_only_frozen(rollout: Rollout) -> str:
    """Say that only devices of frozen strata are left."""
    return f"Only devices of frozen strata are left: {names_of(rollout, waiting_strata(rollout))}."


def is_all_frozen(rollout: Rollout) -> bool:
    """Return whether frozen strata wait for an operator, and all other devices have ended."""
    found = frozen_strata(rollout)
    if not waiting_strata(rollout):
        return False
    others = add_up(
        part.counts
        for wave in rollout.waves
        for number, part in enumerate(wave.strata)
        if number not in found
    )
    return others.ended == others.total


def freeze(rollout: Rollout, stratum: int, reason: Reason, now: datetime) -> Rollout:
    """Freeze a stratum. One that is frozen keeps its first reason."""
    gate = rollout.stratum_gates[stratum]
    if gate.frozen is not None:
        return rollout
    found = FrozenStratum(
        reason=reason,
        at=now,
        revision=rollout.revision + 1,
        shown=(show(rollout, gate),),
    )
    return change_gate(rollout, stratum, replace(gate, frozen=found))


def change_gate(rollout: Rollout, stratum: int, gate: StratumGate) -> Rollout:
    """Replace what is known of one stratum."""
    gates = list(rollout.stratum_gates)
    gates[stratum] = gate
    return replace(rollout, stratum_gates=tuple(gates))


def acknowledge_stratum(
    rollout: Rollout, stratum: int, now: datetime, shown: ShownFailures | None = None
) -> Rollout:
    """Let a stratum go on: its failures are acknowledged, or those that were `shown`.

    Its sequence begins anew with the devices in flight. Waves that ended without its devices run
    again, unless they are stopped themselves.
    """
    gate = rollout.stratum_gates[stratum]
    sequence = gate.sequence.restart(shown.mark if shown else None)
    gate = replace(gate, sequence=sequence, frozen=None, acknowledged_at=now)
    dispatch = rollout.dispatch
    if rollout.stratum_gates[stratum].frozen is not None:
        ready = _merge(dispatch.ready, dispatch.frozen)
        dispatch = replace(dispatch, ready=ready, frozen=dict[int, DeviceSet]())
    waves = [_acknowledge_in(wave, stratum) for wave in rollout.waves]
    stopped = {stop.wave for stop in rollout.stops}
    for index, wave in enumerate(waves):
        has_ended = wave.status in {WaveStatus.COMPLETED, WaveStatus.FAILED}
        if has_ended and index not in stopped and wave.strata[stratum].counts.queued:
            waves[index] = status.move_wave(wave, WaveStatus.RUNNING, ended_at=None)
    return change_gate(replace(rollout, waves=tuple(waves), dispatch=dispatch), stratum, gate)


def _acknowledge_in(wave: Wave, stratum: int) -> Wave:
    part, sequence = wave.strata[stratum], wave.sequence
    for rank in part.failed:
        sequence = sequence.withdraw(rank)
    failed = wave.acknowledged_failed + part.counts.failed - part.acknowledged_failed
    not_started = wave.acknowledged_not_started + part.not_started - part.acknowledged_not_started
    parts = (*wave.strata[:stratum], part.acknowledge(), *wave.strata[stratum + 1 :])
    return replace(
        wave,
        sequence=sequence,
        acknowledged_failed=min(wave.counts.failed, failed),
        acknowledged_not_started=min(wave.not_started, not_started),
        strata=parts,
    )


def show(rollout: Rollout, gate: StratumGate) -> ShownFailures:
    """Return a stratum as the next revision shows it."""
    return ShownFailures(
        revision=rollout.revision + 1,
        failed=gate.sequence.failures,
        ended=False,
        mark=gate.sequence.mark(),
    )


def _merge(one: Mapping[int, DeviceSet], other: Mapping[int, DeviceSet]) -> Mapping[int, DeviceSet]:
    return {**one, **{n: one.get(n, NO_DEVICES) | devices for n, devices in other.items()}}
