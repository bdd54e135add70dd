"""Record changes of device updates in their strata: counters in each wave, and start ranks."""

from dataclasses import replace

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import COUNTER_OF, Wave, WaveStratum
from functions.rollouts.rollout import start_ranks
from functions.rollouts.rollout.device_counts import failed_to_start, runs_already


class StratumLedger:
    """Counters of a rollout's strata while one change is recorded."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._parts: dict[int, dict[int, WaveStratum]] = {}  # by wave and stratum
        self._sequences: dict[int, GateSequence] = {}  # by stratum

    def record(self, old: DeviceUpdate, new: DeviceUpdate) -> DeviceUpdate:
        """Record a change of state. Return the update with its rank in its stratum.

        `new` has its start rank in the wave.
        """
        number = new.stratum
        if number is None or not self._rollout.stratum_gates:
            return new
        parts = self._parts.setdefault(old.wave, {})
        part = parts.get(number) or self._rollout.waves[old.wave].strata[number]
        parts[number] = _change(part, old, new)
        known = self._sequences.get(number) or self._rollout.stratum_gates[number].sequence
        self._sequences[number], followed = start_ranks.follow(
            known,
            old._replace(start_rank=old.stratum_rank),
            new._replace(start_rank=old.stratum_rank),
        )
        rank = followed.start_rank
        return new if new.stratum_rank == rank else new._replace(stratum_rank=rank)

    def join(self, update: DeviceUpdate) -> None:
        """Count a device that joins."""
        number = update.stratum
        if number is None or not self._rollout.stratum_gates:
            return
        parts = self._parts.setdefault(update.wave, {})
        part = parts.get(number) or self._rollout.waves[update.wave].strata[number]
        counter = COUNTER_OF[update.state]
        grown = {counter: getattr(part.counts, counter) + 1}
        parts[number] = replace(part, counts=replace(part.counts, **grown))

    def parts_of(self, number: int, wave: Wave) -> tuple[WaveStratum, ...]:
        """Return the strata of a wave with what was recorded."""
        changed = self._parts.get(number, {})
        return tuple(changed.get(index, part) for index, part in enumerate(wave.strata))

    def gates(self) -> tuple[StratumGate, ...]:
        """Return the strata of the rollout with what was recorded."""
        return tuple(
            replace(gate, sequence=self._sequences[number]) if number in self._sequences else gate
            for number, gate in enumerate(self._rollout.stratum_gates)
        )


def _change(part: WaveStratum, old: DeviceUpdate, new: DeviceUpdate) -> WaveStratum:
    """Record a change of a device's state. Acknowledged devices that moved are so no longer."""
    before, after = COUNTER_OF[old.state], COUNTER_OF[new.state]
    counts = part.counts
    if before != after:
        moved = {before: getattr(counts, before) - 1, after: getattr(counts, after) + 1}
        counts = replace(counts, **moved)
    not_started = part.not_started + failed_to_start(new) - failed_to_start(old)
    return replace(
        part,
        counts=counts,
        already_running=part.already_running + runs_already(new) - runs_already(old),
        not_started=not_started,
        acknowledged_failed=min(part.acknowledged_failed, counts.failed),
        acknowledged_not_started=min(part.acknowledged_not_started, not_started),
        failed=_failed_ranks(part.failed, old, new),
    )


def _failed_ranks(ranks: tuple[int, ...], old: DeviceUpdate, new: DeviceUpdate) -> tuple[int, ...]:
    if start_ranks.is_firmware_failure(old):
        ranks = tuple(rank for rank in ranks if rank != old.start_rank)
    if start_ranks.is_firmware_failure(new) and new.start_rank is not None:
        ranks = (*ranks, new.start_rank)
    return ranks
