"""The simulated waves and rules of the benchmark are what they claim to be."""

from bisect import bisect_left
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.rollout import gate
from tests.bench import gate_rules
from tests.bench.gate import GATE, LIMITS
from tests.bench.simulated_wave import SimulatedWave, Timing

SOONER = Timing("sooner", 60, 600)
HANGING = Timing("hanging", 60, 600, hanging=0.25)


def make_wave(
    size: int, failing: float, timing: Timing = SOONER, rate: float | None = None, seed: int = 1
) -> SimulatedWave:
    return SimulatedWave(size, failing, timing, rate, Random(seed))  # noqa: S311 - a simulation


@given(
    size=st.integers(1, 150),
    failing=st.sampled_from([0, 0.01, 0.05, 0.2, 0.6, 1]),
    rate=st.sampled_from([None, 2.0]),
    seed=st.integers(0, 10_000),
)
def test_the_gate_stops_a_wave_at_its_first_failure_that_breaches(
    size: int, failing: float, rate: float | None, seed: int
) -> None:
    wave = make_wave(size, failing, rate=rate, seed=seed)

    sequence, expected = GateSequence(started=size), None
    for failure in wave.failures:
        sequence = sequence.fail(failure.position + 1)
        if gate.is_breached(LIMITS, sequence.prefixes()):
            expected = failure.ended_at
            break

    assert gate_rules.gate_stop(wave, LIMITS) == expected


def test_a_wave_has_the_failures_and_ends_of_its_rates() -> None:
    waves = [make_wave(1000, 0.1, HANGING, seed=seed) for seed in range(100)]

    assert mean(len(wave.failures) for wave in waves) == pytest.approx(75, rel=0.05)
    assert mean(wave.healthy_by(840) for wave in waves) == pytest.approx(675, rel=0.02)
    assert all(36 <= failure.ended_at <= 84 for wave in waves for failure in wave.failures)
    assert waves[0].healthy_by(359) == 0


def test_devices_start_at_the_rate_of_the_wave() -> None:
    wave = make_wave(100, 0.5, rate=2.0)

    assert [wave.started_by(at) for at in (0, 0.4, 0.5, 10, 1000)] == [1, 1, 2, 21, 100]
    assert all(failure.ended_at >= failure.position / 2 + 36 for failure in wave.failures)


def test_the_earlier_rule_counts_the_devices_that_have_ended() -> None:
    wave = make_wave(200, 0.05, Timing("alike", 600, 600))
    at = gate_rules.earlier_stop(wave, GATE)

    assert at is not None
    failed = bisect_left(wave.failures, (at, 200)) + 1
    ends = [
        (number + 1, wave.healthy_by(item.ended_at)) for number, item in enumerate(wave.failures)
    ]
    breached = [gate.judge(LIMITS, *counts) is gate.Verdict.BREACHED for counts in ends]
    assert breached.index(True) + 1 in (failed, failed - 1)


def test_the_plain_rule_counts_the_whole_wave() -> None:
    wave = make_wave(100, 0.5)

    assert gate_rules.plain_stop(wave) == wave.failures[5].ended_at
    assert gate_rules.plain_stop(make_wave(100, 0)) is None
