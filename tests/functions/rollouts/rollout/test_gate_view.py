"""Test what is shown of the failure gate: its numbers agree with what the gate decides."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Strategy, percent
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import Counts, WaveStatus, WaveStratum
from functions.rollouts.rollout import gate, gate_view
from tests.functions.builders import NOON, at, change, make_rollout, make_wave


def sequence(started: int, in_flight: int, *failed: int) -> GateSequence:
    return GateSequence(started=started, in_flight=in_flight, failed=failed)


def test_a_wave_shows_its_numbers() -> None:
    counts = Counts(queued=60, updating=20, soaking=5, completed=14, failed=1)
    wave = make_wave(100, counts=counts, sequence=sequence(40, 25, 30))
    (found,) = gate_view.view(make_rollout(wave))
    assert (found.wave, found.stratum) == ("all", None)
    assert (found.failed, found.healthy, found.in_flight) == (1, 19, 20)
    limits = gate.limits_for(FailureGate())
    assert found.threshold == limits.threshold
    assert found.ratio == limits.ratio(1, 29)
    assert not found.breached
    assert found.failures_to_breach == 2
    assert found.healthy_to_acceptable == 37


@pytest.mark.parametrize("status", [WaveStatus.PENDING, WaveStatus.COMPLETED])
def test_waves_that_have_not_opened_or_have_completed_are_not_shown(status: WaveStatus) -> None:
    assert not gate_view.view(make_rollout(make_wave(10, status=status)))


def test_a_wave_that_waits_for_an_operator_is_shown_until_a_resume_passes_it() -> None:
    wave = make_wave(10, status=WaveStatus.FAILED, sequence=sequence(10, 0, 1, 2, 3))
    paused = make_rollout(wave, status=RolloutStatus.PAUSED)
    (found,) = gate_view.view(paused)
    assert (found.breached, found.failures_to_breach) == (True, 0)
    assert not gate_view.view(replace(paused, waves=(replace(wave, passed=True),)))
    assert not gate_view.view(change(paused, status=RolloutStatus.FAILED, ended_at=NOON))


def test_strata_are_shown_between_waves_but_not_before_the_first() -> None:
    def view(*statuses: WaveStatus) -> list[str | None]:
        waves = [make_wave(10, status=status, strata=(WaveStratum(),)) for status in statuses]
        rollout = change(make_rollout(*waves), strata=("model-a",), stratum_gates=(StratumGate(),))
        return [item.stratum for item in gate_view.view(rollout)]

    assert view(WaveStatus.COMPLETED, WaveStatus.PENDING) == ["model-a"]
    assert view(WaveStatus.PENDING, WaveStatus.PENDING) == []


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_failures_to_breach_breach_and_one_less_does_not(data: st.DataObject) -> None:
    started = data.draw(st.integers(0, 200))
    ranks = data.draw(
        st.lists(st.integers(1, max(1, started)), max_size=min(8, started), unique=True)
    )
    alive = started - len(ranks)
    in_flight = data.draw(st.integers(0, alive))
    wave = make_wave(400, sequence=sequence(started, in_flight, *ranks))
    (found,) = gate_view.view(make_rollout(wave))
    limits = gate.limits_for(FailureGate())
    assert found.breached == gate.is_breached(limits, wave.sequence.prefixes())
    if found.breached:
        return
    more = found.failures_to_breach
    others = found.healthy + max(0, in_flight - more)
    assert gate.judge(limits, found.failed + more, others) is gate.Verdict.BREACHED
    others = found.healthy + max(0, in_flight - more + 1)
    assert gate.judge(limits, found.failed + more - 1, others) is not gate.Verdict.BREACHED
    healthy = found.healthy + found.healthy_to_acceptable
    assert gate.judge(limits, found.failed, healthy) is gate.Verdict.ACCEPTABLE
    if found.healthy_to_acceptable:
        assert gate.judge(limits, found.failed, healthy - 1) is not gate.Verdict.ACCEPTABLE


def test_a_preview_names_the_failure_that_would_have_breached() -> None:
    wave = make_wave(100, status=WaveStatus.COMPLETED, sequence=sequence(100, 0, 90, 40, 95, 20))
    loose = FailureGate(acceptable=percent(20), unacceptable=percent(60))
    rollout = make_rollout(wave, strategy=Strategy(failure_gate=loose))
    (present,) = gate_view.preview(rollout, loose)
    assert (present.breached, present.breached_at_failure) == (False, None)
    (stricter,) = gate_view.preview(
        rollout, replace(loose, acceptable=percent(1), unacceptable=percent(2))
    )
    assert not stricter.breached
    tight = FailureGate(acceptable=percent(1), unacceptable=percent(90))
    (found,) = gate_view.preview(rollout, FailureGate(confidence=0.6, unacceptable=percent(10)))
    assert (found.breached, found.breached_at_failure) == (True, 4)
    assert found.failures_to_breach == 0
    assert not gate_view.preview(rollout, tight)[0].breached


def test_a_view_says_since_when_failures_count() -> None:
    wave = make_wave(10, acknowledged_at=at(60), strata=(WaveStratum(),))
    gates = (StratumGate(acknowledged_at=at(90)),)
    rollout = change(make_rollout(wave), strata=("model-a",), stratum_gates=gates)
    assert [item.counted_since for item in gate_view.view(rollout)] == [at(60), at(90)]


def test_a_view_without_devices_counts_none() -> None:
    (found,) = gate_view.view(make_rollout(make_wave(10, sequence=sequence(0, 0))))
    assert (found.healthy, found.in_flight, found.ratio) == (0, 0, 0.0)
