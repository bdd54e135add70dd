"""Make rollouts of the strata `large` and `small`, whose waves know the counts of each."""

from dataclasses import replace
from typing import Any

from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import Counts, Wave, WaveStratum, add_up
from functions.rollouts.rollout import frozen
from tests.functions.builders import at, make_rollout, make_sequence, make_wave

LARGE, SMALL = 0, 1
STRATA = ("large", "small")
WHY = Reason(code="failureGate", message="Too many failed.")
_SUMS = ("already_running", "not_started", "acknowledged_failed", "acknowledged_not_started")


def make_part(*failed: int, **counts: int) -> WaveStratum:
    """Make the devices of a stratum in a wave; `failed` are the ranks of those that failed."""
    known = {"failed": len(failed)} | counts
    return WaveStratum(counts=Counts(**known), failed=failed)


def make_stratified_wave(*parts: WaveStratum, **values: Any) -> Wave:
    """Make a running wave of these devices."""
    counts = add_up(part.counts for part in parts)
    sums = {name: sum(getattr(part, name) for part in parts) for name in _SUMS}
    return make_wave(counts.total, counts=counts, strata=parts, **(sums | values))


def make_stratified(*waves: Wave, **values: Any) -> Rollout:
    """Make a running rollout whose strata are judged by the devices of these waves."""
    gates = tuple(
        StratumGate(sequence=make_sequence(add_up(wave.strata[n].counts for wave in waves)))
        for n in range(len(STRATA))
    )
    return make_rollout(*waves, **({"strata": STRATA, "stratum_gates": gates} | values))


def freeze(rollout: Rollout, *strata: int, **values: Any) -> Rollout:
    """Freeze strata, with other `values` of their freeze."""
    for number in strata:
        rollout = frozen.freeze(rollout, number, WHY, at(10))
        gate = rollout.stratum_gates[number]
        assert gate.frozen is not None
        changed = replace(gate, frozen=replace(gate.frozen, **values))
        rollout = frozen.change_gate(rollout, number, changed)
    return rollout
