import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.reason import Reason
from functions.rollouts.model.strategy import FailureGate, OnBreach, Share, percent
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import gate as rules
from functions.rollouts.rollout.gate import Verdict, limits_for
from tests.functions.builders import make_sequence

GATE = FailureGate()
PAGE = (Path(__file__).parents[4] / "docs/failure-gate.md").read_text()
SEVERITY = [Verdict.ACCEPTABLE, Verdict.UNDECIDED, Verdict.BREACHED]
COUNTS = st.integers(0, 100_000)


def judge(gate: FailureGate, failed: int, others: int) -> Verdict:
    return rules.judge(limits_for(gate), failed, others)


def failures_to_breach(gate: FailureGate, devices: int) -> int | None:
    return rules.failures_to_breach(limits_for(gate), devices)


def breach(gate: FailureGate, name: str, failed: int, others: int) -> Reason | None:
    """Judge a wave whose last devices failed."""
    sequence = make_sequence(Counts(completed=others, failed=failed))
    return rules.breach(gate, limits_for(gate), name, sequence)


@st.composite
def gates(draw: st.DrawFn) -> FailureGate:
    acceptable = draw(st.integers(1, 9_998))
    unacceptable = draw(st.integers(acceptable + 1, 9_999))
    confidence = draw(st.floats(0.5, 1, exclude_min=True, exclude_max=True))
    return FailureGate(
        acceptable=Share(acceptable), unacceptable=Share(unacceptable), confidence=confidence
    )


@pytest.mark.parametrize(
    ("failed", "healthy", "verdict"),
    [
        (0, 0, Verdict.UNDECIDED),
        (1, 0, Verdict.UNDECIDED),
        (2, 0, Verdict.BREACHED),
        (2, 17, Verdict.BREACHED),
        (2, 18, Verdict.UNDECIDED),
        (3, 41, Verdict.BREACHED),
        (3, 42, Verdict.UNDECIDED),
        (0, 30, Verdict.UNDECIDED),
        (0, 31, Verdict.ACCEPTABLE),
    ],
)
def test_the_default_gate_decides_at_its_thresholds(
    failed: int, healthy: int, verdict: Verdict
) -> None:
    assert judge(GATE, failed, healthy) is verdict


@pytest.mark.parametrize(
    ("confidence", "odds"),
    [(0.6, 1.5), (0.75, 3), (0.8, 4), (0.9, 9), (0.95, 19), (0.96, 24), (0.98, 49)],
)
def test_a_failure_that_just_meets_the_threshold_breaches(confidence: float, odds: float) -> None:
    just = int(200 * odds)
    meets, misses = (
        FailureGate(acceptable=percent(2), unacceptable=Share(rate), confidence=confidence)
        for rate in (just, just - 1)
    )
    assert judge(meets, 1, 0) is Verdict.BREACHED
    assert judge(misses, 1, 0) is Verdict.UNDECIDED


def test_an_acceptable_wave_can_still_breach_the_gate() -> None:
    assert judge(GATE, 0, 100) is Verdict.ACCEPTABLE
    assert judge(GATE, 5, 100) is Verdict.UNDECIDED
    assert judge(GATE, 6, 100) is Verdict.BREACHED


def test_healthy_devices_that_fail_during_their_soak_can_breach_the_gate() -> None:
    assert judge(GATE, 2, 18) is Verdict.UNDECIDED
    assert judge(GATE, 3, 17) is Verdict.BREACHED


@given(gate=gates())
def test_without_a_finished_device_the_gate_is_undecided(gate: FailureGate) -> None:
    assert judge(gate, 0, 0) is Verdict.UNDECIDED


@given(gate=gates(), failed=COUNTS, healthy=COUNTS)
def test_another_failure_never_improves_the_verdict(
    gate: FailureGate, failed: int, healthy: int
) -> None:
    more, fewer = judge(gate, failed + 1, healthy), judge(gate, failed, healthy)
    assert SEVERITY.index(more) >= SEVERITY.index(fewer)


@given(gate=gates(), failed=COUNTS, healthy=COUNTS)
def test_another_healthy_device_never_worsens_the_verdict(
    gate: FailureGate, failed: int, healthy: int
) -> None:
    more, fewer = judge(gate, failed, healthy + 1), judge(gate, failed, healthy)
    assert SEVERITY.index(more) <= SEVERITY.index(fewer)


@given(gate=gates(), failed=COUNTS, healthy=COUNTS, after=st.sampled_from(OnBreach))
def test_the_verdict_does_not_depend_on_what_a_breach_does(
    gate: FailureGate, failed: int, healthy: int, after: OnBreach
) -> None:
    other = FailureGate(
        acceptable=gate.acceptable,
        unacceptable=gate.unacceptable,
        confidence=gate.confidence,
        on_breach=after,
    )
    assert judge(gate, failed, healthy) is judge(other, failed, healthy)


@given(gate=gates(), finished=COUNTS)
def test_failures_to_breach_is_the_smallest_number_that_breaches(
    gate: FailureGate, finished: int
) -> None:
    fewest = failures_to_breach(gate, finished)
    if fewest is None:
        assert judge(gate, finished, 0) is not Verdict.BREACHED
        return
    assert judge(gate, fewest, finished - fewest) is Verdict.BREACHED
    assert judge(gate, fewest - 1, finished - fewest + 1) is not Verdict.BREACHED


@pytest.mark.parametrize(("finished", "fewest"), [(0, None), (1, None), (2, 2), (19, 2), (20, 3)])
def test_one_device_alone_cannot_breach_the_default_gate(finished: int, fewest: int | None) -> None:
    assert failures_to_breach(GATE, finished) == fewest


def test_the_message_of_a_breach_has_the_counts_and_the_limit() -> None:
    assert breach(GATE, "Wave canary", failed=3, others=17) == Reason(
        code="failureGate",
        message="Wave canary: 3 of its first 20 devices failed (15%), those in flight counted as"
        " healthy; the gate allows 2. At 95% confidence an unacceptable failure rate (10%) explains"
        " this better than an acceptable one (1%).",
    )


def test_the_message_of_a_breach_by_one_device_is_in_the_singular() -> None:
    strict = FailureGate(acceptable=Share(10), unacceptable=percent(5), confidence=0.975)
    reason = breach(strict, "Wave 1", failed=1, others=0)
    assert reason is not None
    assert reason.message.startswith(
        "Wave 1: its first device failed (100%), those in flight counted as healthy; the gate"
        " allows none. At 97.5% confidence "
    )


@given(gate=gates(), failed=COUNTS, healthy=COUNTS)
def test_a_reason_is_returned_only_if_the_gate_is_breached(
    gate: FailureGate, failed: int, healthy: int
) -> None:
    breached = judge(gate, failed, healthy) is Verdict.BREACHED
    assert (breach(gate, "canary", failed, healthy) is not None) == breached


def test_waves_are_rarely_stopped_at_the_acceptable_rate_and_nearly_always_at_the_other() -> None:
    alpha = 1 - GATE.confidence
    assert _estimate_stopped_share(GATE.acceptable) <= alpha / GATE.confidence
    assert _estimate_stopped_share(GATE.unacceptable) >= GATE.confidence


def _estimate_stopped_share(rate: Share, waves: int = 1_000, size: int = 500) -> float:
    """Return the share of simulated waves that the gate stops; it judges after each device."""
    source = random.Random(1945)  # noqa: S311  a simulation, no secret
    return sum(_is_stopped(source, rate.hundredths / 10_000, size) for _ in range(waves)) / waves


def _is_stopped(source: random.Random, rate: float, size: int) -> bool:
    failed = 0
    for finished in range(1, size + 1):
        failed += source.random() < rate
        if judge(GATE, failed, finished - failed) is Verdict.BREACHED:
            return True
    return False


def test_the_documented_numbers_of_failures_breach_the_default_gate() -> None:
    rows = re.findall(r"^\| (\d+)(?: to (\d+))? \| (\d+|never) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 5
    for first, last, documented in rows:
        for finished in range(int(first), int(last or first) + 1):
            assert str(failures_to_breach(GATE, finished) or "never") == documented, finished


def test_the_documented_numbers_of_failures_breach_other_gates() -> None:
    row = r"^\| ([\d.]+)% \| ([\d.]+)% \| (0\.\d+) \| (\d+) \| (\d+) \| (\d+) \|$"
    rows = re.findall(row, PAGE, re.MULTILINE)
    assert len(rows) > 5
    for acceptable, unacceptable, confidence, *documented in rows:
        gate = FailureGate(
            acceptable=Share(round(100 * float(acceptable))),
            unacceptable=Share(round(100 * float(unacceptable))),
            confidence=float(confidence),
        )
        assert [failures_to_breach(gate, finished) for finished in (20, 100, 1000)] == [
            int(number) for number in documented
        ], gate
