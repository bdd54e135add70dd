"""The history of the ratios that the failure gate judges."""

from dataclasses import replace

import pytest

from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import FailureGate, Strategy, percent
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import gate, gate_history
from functions.rollouts.rollout.gate_history import MAX_STEPS
from tests.functions.builders import at, make_rollout, make_wave, with_counts
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    make_part,
    make_stratified,
    make_stratified_wave,
)


def fail(rollout: Rollout, failed: int, seconds: float) -> Rollout:
    """Let the next devices of the only wave fail, and record the ratio."""
    (wave,) = rollout.waves
    counts = replace(wave.counts, updating=wave.counts.updating - failed, failed=failed)
    changed = replace(rollout, waves=(with_counts(wave, counts),))
    return gate_history.record(changed, at(seconds))


def test_each_change_of_a_ratio_is_a_step() -> None:
    rollout = make_rollout(make_wave(40, counts=Counts(updating=40)))
    assert gate_history.record(rollout, at(0)) is rollout
    once = fail(rollout, 1, 1)
    twice = fail(once, 2, 2)
    assert [step.at for step in twice.gate_history] == [at(1), at(2)]
    assert [step.ratio for step in twice.gate_history] == pytest.approx([2.3026, 4.6052], abs=1e-4)
    assert gate_history.record(twice, at(3)) is twice


def test_a_late_success_and_a_resume_take_the_ratio_back() -> None:
    rollout = fail(make_rollout(make_wave(40, counts=Counts(updating=40))), 1, 1)
    (wave,) = rollout.waves
    for sequence in (wave.sequence.withdraw(1), wave.sequence.restart()):
        after = replace(rollout, waves=(replace(wave, sequence=sequence),))
        assert gate_history.record(after, at(2)).gate_history[-1].ratio == 0


def test_a_long_history_loses_old_steps_and_keeps_the_first_and_the_latest() -> None:
    lenient = Strategy(failure_gate=FailureGate(acceptable=percent(98), unacceptable=percent(99)))
    rollout = make_rollout(make_wave(900, counts=Counts(updating=900)), strategy=lenient)
    for number in range(1, 500):
        rollout = fail(rollout, number, number)
    history = rollout.gate_history
    assert MAX_STEPS / 2 < len(history) <= MAX_STEPS
    assert (history[0].at, history[-1].at) == (at(1), at(499))
    assert [step.at for step in history] == sorted(step.at for step in history)


def test_a_step_names_its_wave_or_stratum_with_its_failures_and_threshold() -> None:
    failed, healthy = make_part(1, 2, completed=5), make_part(completed=3)
    first = make_stratified_wave(make_part(completed=1), make_part(completed=1))
    rollout = make_stratified(first, make_stratified_wave(healthy, failed))
    of_wave, of_stratum = gate_history.record(rollout, at(9)).gate_history
    assert (of_wave.at, of_wave.wave, of_wave.stratum, of_wave.failed) == (at(9), 1, None, 2)
    assert of_wave.threshold == gate.limits_of(rollout, rollout.waves[1]).threshold
    assert (of_stratum.wave, of_stratum.stratum, of_stratum.failed) == (None, SMALL, 2)
    assert of_stratum.threshold == gate.limits_of_strata(rollout).threshold


def test_every_second_step_of_the_older_half_is_dropped_when_there_are_too_many() -> None:
    steps = tuple(
        GateStep(at=at(number), wave=0, stratum=None, ratio=9.0) for number in range(MAX_STEPS - 1)
    )
    rollout = make_rollout(make_wave(40, counts=Counts(updating=40)), gate_history=steps)
    full = fail(rollout, 1, 1000)
    assert full.gate_history[:-1] == steps
    thinned = fail(full, 2, 2000).gate_history
    half = (MAX_STEPS + 1) // 2
    assert thinned[:-2] == (*steps[:half:2], *steps[half:])
