"""Record each change of a ratio that the failure gate judges, for people who look back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import gate
from functions.rollouts.rollout.gate import Limits

# About 85 bytes each in the rollout's row.
MAX_STEPS = 200


def record(rollout: Rollout, now: datetime) -> Rollout:
    """Append the ratios that have changed. No failure leaves none to record."""
    known = {(step.wave, step.stratum): step.ratio for step in rollout.gate_history}
    added = tuple(
        step
        for step in _list_steps(rollout, now)
        if step.ratio != known.get((step.wave, step.stratum), 0.0)
    )
    if not added:
        return rollout
    return replace(rollout, gate_history=_thin((*rollout.gate_history, *added)))


def _list_steps(rollout: Rollout, now: datetime) -> Iterator[GateStep]:
    for number, wave in enumerate(rollout.waves):
        yield _step(now, number, None, gate.limits_of(rollout, wave), wave.sequence)
    for number, item in enumerate(rollout.stratum_gates):
        yield _step(now, None, number, gate.limits_of_strata(rollout), item.sequence)


def _step(
    now: datetime, wave: int | None, stratum: int | None, limits: Limits, sequence: GateSequence
) -> GateStep:
    return GateStep(
        at=now,
        wave=wave,
        stratum=stratum,
        ratio=_ratio(limits, sequence),
        failed=sequence.failures,
        threshold=limits.threshold,
    )


def _ratio(limits: Limits, sequence: GateSequence) -> float:
    """Return the ratio of the worst prefix, or 0 without a failure."""
    worst = gate.find_worst(limits, sequence)
    return limits.ratio(worst.failed, worst.devices - worst.failed) if worst else 0.0


def _thin(steps: tuple[GateStep, ...]) -> tuple[GateStep, ...]:
    """Drop every second step of the older half if there are too many."""
    if len(steps) <= MAX_STEPS:
        return steps
    half = len(steps) // 2
    return (*steps[:half:2], *steps[half:])
