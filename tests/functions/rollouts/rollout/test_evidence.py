"""How many devices of a wave must complete: `successShare`, its default, and `minCompleted`."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.strategy import FailureGate, Share, Strategy, percent
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout import evidence, gate
from tests.functions.builders import make_rollout, make_wave

DEFAULT = FailureGate()


@pytest.mark.parametrize(
    ("eligible", "share", "fewest"),
    [(0, 10_000, 0), (21, 9_500, 20), (100, 9_999, 100), (100, 0, 0), (3, 5_000, 2)],
)
def test_a_success_share_is_of_the_eligible_devices_and_rounded_up(
    eligible: int, share: int, fewest: int
) -> None:
    wave = make_wave(eligible)
    rollout = make_rollout(wave, strategy=Strategy(success_share=Share(share)))
    assert evidence.needed_for_share(rollout, wave) == fewest


def test_skipped_devices_do_not_count_for_a_share() -> None:
    wave = make_wave(10, counts=Counts(completed=4, skipped=6))
    rollout = make_rollout(wave, strategy=Strategy(success_share=percent(100)))
    assert evidence.has_reached_share(rollout, wave)


# -- without a success share


@pytest.mark.parametrize(
    ("devices", "failures"), [(0, 0), (1, 0), (2, 0), (3, 1), (19, 1), (20, 2), (100, 5)]
)
def test_without_a_success_share_as_many_may_fail_as_the_gate_allows(
    devices: int, failures: int
) -> None:
    wave = make_wave(devices)
    assert evidence.needed_for_share(make_rollout(wave), wave) == devices - failures


def test_without_a_success_share_more_than_half_must_complete_with_any_gate() -> None:
    lenient = FailureGate(acceptable=percent(98), unacceptable=percent(99), confidence=0.999)
    for devices in range(1, 200):
        assert evidence.tolerated_failures(gate.limits_for(lenient), devices) < devices / 2


@given(st.integers(3, 5_000), st.integers(100, 9_000), st.integers(1, 5_000))
def test_a_wave_at_its_default_share_would_not_breach_if_all_its_other_devices_failed(
    devices: int, acceptable: int, further: int
) -> None:
    strict = FailureGate(
        acceptable=Share(acceptable), unacceptable=Share(min(9_999, acceptable + further))
    )
    limits = gate.limits_for(strict)
    failed = evidence.tolerated_failures(limits, devices)
    assert gate.judge(limits, failed, devices - failed) is not gate.Verdict.BREACHED


def test_acknowledged_failures_do_not_count_against_the_default_share() -> None:
    wave = make_wave(100, counts=Counts(completed=80, failed=20), acknowledged_failed=18)
    assert evidence.has_reached_share(make_rollout(wave), wave)
    explicit = make_rollout(wave, strategy=Strategy(success_share=percent(95)))
    assert not evidence.has_reached_share(explicit, wave)


# -- minCompleted


def needed(least: int | Share, size: int, already_running: int = 0) -> int:
    wave = make_wave(size, already_running=already_running)
    return evidence.needed_as_evidence(
        make_rollout(wave, strategy=Strategy(min_completed=least)), wave
    )


@pytest.mark.parametrize(
    ("least", "size", "fewest"),
    [
        (percent(25), 5, 2), (percent(25), 100, 25), (percent(25), 1, 1), (percent(0), 5, 1),
        (0, 5, 1), (3, 5, 3), (50, 5, 5), (percent(100), 7, 7),
    ],
)  # fmt: skip
def test_min_completed_is_of_the_waves_size_and_from_one_device_to_all(
    least: int | Share, size: int, fewest: int
) -> None:
    assert needed(least, size) == fewest


def test_devices_that_ran_the_version_before_need_not_complete() -> None:
    assert needed(percent(25), 20, already_running=12) == 2
    assert needed(5, 20, already_running=17) == 3
    assert needed(percent(25), 20, already_running=20) == 0


@given(
    st.one_of(st.integers(0, 300), st.integers(0, 10_000).map(Share)),
    st.integers(1, 300),
    st.integers(0, 300),
)
def test_evidence_can_always_be_had_and_is_never_nothing(
    least: int | Share, size: int, already_running: int
) -> None:
    ran = min(already_running, size)
    assert min(1, size - ran) <= needed(least, size, ran) <= size - ran


# -- the shortfall of a wave whose devices have all ended


def find_code(counts: Counts, *, last: bool = False, **values: int) -> str | None:
    wave = make_wave(counts.total, name="canary", counts=counts, **values)
    more: tuple[Wave, ...] = () if last else (make_wave(9, status=WaveStatus.PENDING, name="rest"),)
    reason = evidence.find_shortfall(make_rollout(wave, *more), 0)
    return None if reason is None else reason.code


def test_a_wave_whose_devices_were_all_skipped_has_too_little_evidence() -> None:
    assert find_code(Counts(skipped=5)) == "tooLittleEvidence"
    assert find_code(Counts(skipped=4, completed=1)) == "tooLittleEvidence"
    assert find_code(Counts(skipped=3, completed=2)) is None


def test_a_wave_that_failed_is_below_its_share_rather_than_short_of_evidence() -> None:
    assert find_code(Counts(skipped=4, failed=1)) == "successShare"


def test_a_last_wave_is_short_of_evidence_only_if_no_device_was_updated() -> None:
    assert find_code(Counts(skipped=9), last=True) == "tooLittleEvidence"
    assert find_code(Counts(skipped=9, completed=1), last=True) is None


def test_a_wave_whose_devices_all_ran_the_version_needs_no_evidence() -> None:
    for last in (False, True):
        assert find_code(Counts(skipped=9), last=last, already_running=9) is None


def test_too_little_evidence_says_how_many_devices_were_cancelled() -> None:
    strategy = Strategy(success_share=percent(0))
    wave = make_wave(8, counts=Counts(skipped=5, cancelled=2, completed=1))
    last = make_wave(1, status=WaveStatus.PENDING, name="rest")
    first = make_rollout(wave, last, strategy=strategy)
    reason = evidence.find_shortfall(first, 0)
    assert reason is not None
    assert "0 failed, 5 were skipped, and 2 were cancelled; minCompleted" in reason.message
    none_updated = make_wave(8, counts=Counts(skipped=7, cancelled=1))
    reason = evidence.find_shortfall(make_rollout(none_updated, strategy=strategy), 0)
    assert reason is not None
    assert reason.message.endswith("7 were skipped and 0 failed, and 1 was cancelled.")


def test_the_messages_have_the_numbers_of_the_rule() -> None:
    wave = make_wave(8, name="canary", counts=Counts(skipped=7, completed=1))
    rollout = make_rollout(wave, make_wave(1, status=WaveStatus.PENDING, name="rest"))
    reason = evidence.find_shortfall(rollout, 0)
    assert reason is not None
    assert reason.message.startswith(
        "Wave canary: 1 of its 8 devices completed, 0 failed, 7 were skipped; minCompleted is 25%,"
        " so 2 must complete before the next wave opens."
    )
    failed = replace(wave, counts=Counts(completed=1, failed=1), size=2)
    assert evidence.below_share(make_rollout(failed), failed).message == (
        "Wave canary: 1 of 2 devices completed, 1 failed; 2 must complete, because the failure"
        " gate allows no more failures."
    )
