"""The obstacle that keeps a device from starting, and its explanation."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, Window, percent
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout.permission import (
    explanation,
    free_slots,
    obstacle,
    opening_obstacle,
)
from tests.functions.builders import NOON, at, make_rollout, make_update, make_wave

AFTERNOON = Strategy(window=Window(start=time(13), end=time(15), timezone="UTC"))
PENDING = WaveStatus.PENDING


def get_code(reason: Reason | None) -> str | None:
    return reason.code if reason else None


def make_two_waves(first: Counts, strategy: Strategy | None = None, **second: bool) -> Rollout:
    """Make a rollout with a running canary wave and a pending second wave."""
    return make_rollout(
        make_wave(first.total, name="canary", counts=first),
        make_wave(10, name="rest", status=PENDING, **second),
        strategy=strategy,
    )


def test_a_device_of_a_running_wave_may_start() -> None:
    assert obstacle(make_rollout(), 0, NOON) is None


@pytest.mark.parametrize("status", sorted(set(RolloutStatus) - {RolloutStatus.RUNNING}))
def test_only_a_running_rollout_lets_devices_start(status: RolloutStatus) -> None:
    assert get_code(obstacle(make_rollout(status=status), 0, NOON)) == status.value


def test_the_reason_of_a_scheduled_rollout_has_its_start_time() -> None:
    rollout = make_rollout(status=RolloutStatus.SCHEDULED, start_at=at(3600))
    reason = obstacle(rollout, 0, NOON)
    assert reason == Reason(code="scheduled", message="The rollout starts at 2026-11-23T13:00:00Z.")


def test_a_rollout_whose_target_is_being_resolved_starts_no_device() -> None:
    rollout = make_rollout(status=RolloutStatus.SCHEDULED, resolution=TargetResolution())
    assert get_code(obstacle(rollout, 0, NOON)) == "scheduled"


def test_the_reason_of_a_paused_rollout_says_who_paused_it() -> None:
    why = Reason(code="paused", message="Paused by anna: lunch.")
    rollout = make_rollout(status=RolloutStatus.PAUSED, status_reason=why)
    reason = obstacle(rollout, 0, NOON)
    assert reason is not None
    assert reason.message == "the rollout is paused. Paused by anna: lunch."


# -- waves -----------------------------------------------------------------------------------


def test_the_next_wave_opens_when_the_success_share_is_reached() -> None:
    half = Strategy(success_share=percent(50))
    below = make_two_waves(Counts(queued=3, completed=2), half)
    assert get_code(opening_obstacle(below, 1)) == "earlierWave"
    assert "50% of wave canary completed: 3 of 5, now 2." in get_opening_message(below)
    met = make_two_waves(Counts(queued=2, completed=3), half)
    assert opening_obstacle(met, 1) is None


def get_opening_message(rollout: Rollout) -> str:
    reason = opening_obstacle(rollout, 1)
    return reason.message if reason else ""


def test_a_soaking_device_does_not_open_the_next_wave_yet() -> None:
    assert opening_obstacle(make_two_waves(Counts(soaking=1)), 1) is not None
    assert opening_obstacle(make_two_waves(Counts(completed=1)), 1) is None


def test_a_wave_whose_devices_are_all_skipped_opens_no_other() -> None:
    assert opening_obstacle(make_two_waves(Counts(skipped=3)), 1) is not None


def test_a_wave_with_little_evidence_opens_no_other_early() -> None:
    strategy = Strategy(success_share=percent(0))
    little = make_two_waves(Counts(completed=1, updating=9), strategy)
    assert opening_obstacle(little, 1) is not None
    assert opening_obstacle(make_two_waves(Counts(completed=3, updating=7), strategy), 1) is None


def test_a_waiting_wave_names_the_rule_that_it_waits_for() -> None:
    def message(strategy: Strategy) -> str:
        reason = opening_obstacle(make_two_waves(Counts(updating=8), strategy), 1)
        return reason.message if reason else ""

    opens = "wave rest opens when"
    assert message(Strategy(success_share=percent(95))) == (
        f"{opens} 95% of wave canary completed: 8 of 8, now 0."
    )
    assert message(Strategy()) == f"{opens} enough of wave canary completed: 7 of 8, now 0."
    assert message(Strategy(success_share=percent(0))) == (
        f"{opens} minCompleted (25%) of wave canary completed: 2 of 8, now 0."
    )


def test_a_wave_with_approval_opens_after_approval_and_the_wave_before() -> None:
    early = make_two_waves(Counts(queued=1), approval=True, approved=True)
    assert get_code(opening_obstacle(early, 1)) == "earlierWave"
    waiting = make_two_waves(Counts(completed=1), approval=True)
    assert get_code(opening_obstacle(waiting, 1)) == "awaitingApproval"
    approved = make_two_waves(Counts(completed=1), approval=True, approved=True)
    assert opening_obstacle(approved, 1) is None


def test_a_failed_wave_delays_the_next_until_it_is_passed() -> None:
    rollout = make_two_waves(Counts(completed=9, failed=1), Strategy(success_share=percent(90)))
    first, second = rollout.waves
    failed = replace(first, status=WaveStatus.FAILED)
    assert opening_obstacle(replace(rollout, waves=(failed, second)), 1) is not None
    passed = replace(failed, passed=True)
    assert opening_obstacle(replace(rollout, waves=(passed, second)), 1) is None


def test_no_device_of_a_pending_wave_may_start() -> None:
    assert get_code(obstacle(make_two_waves(Counts(queued=1)), 1, NOON)) == "earlierWave"


@pytest.mark.parametrize("status", [WaveStatus.COMPLETED, WaveStatus.FAILED])
def test_no_device_of_an_ended_wave_may_start(status: WaveStatus) -> None:
    rollout = make_rollout(make_wave(2, status=status))
    assert get_code(obstacle(rollout, 0, NOON)) == "waveClosed"


# -- window and limit ------------------------------------------------------------------------


def test_outside_the_window_no_device_starts_and_the_reason_has_the_next_opening() -> None:
    rollout = make_rollout(strategy=AFTERNOON)
    reason = obstacle(rollout, 0, at(3599.9))
    assert reason is not None
    assert (reason.code, "2026-11-23T13:00:00Z" in reason.message) == ("window", True)
    assert obstacle(rollout, 0, at(3600)) is None
    assert get_code(obstacle(rollout, 0, at(3 * 3600))) == "window"


@pytest.mark.parametrize(("updating", "free"), [(0, 3), (2, 1), (3, 0), (4, 0)])
def test_devices_may_start_up_to_max_in_flight(updating: int, free: int) -> None:
    rollout = make_rollout(
        make_wave(10, counts=Counts(queued=10 - updating, updating=updating)),
        strategy=Strategy(max_in_flight=3),
    )
    assert free_slots(rollout) == free
    assert (obstacle(rollout, 0, NOON) is None) == (free > 0)


def test_without_max_in_flight_the_number_of_devices_is_not_limited() -> None:
    assert free_slots(make_rollout()) is None


def test_soaking_devices_do_not_count_for_max_in_flight() -> None:
    rollout = make_rollout(
        make_wave(4, counts=Counts(queued=1, soaking=3)), strategy=Strategy(max_in_flight=1)
    )
    assert obstacle(rollout, 0, NOON) is None


# -- explanations ----------------------------------------------------------------------------


def test_the_explanation_of_a_queued_device_is_its_present_obstacle() -> None:
    rollout = make_rollout(strategy=AFTERNOON)
    assert explanation(rollout, make_update(), NOON).startswith("Waiting: outside the maintenance")
    explained = explanation(rollout, make_update(), at(3600))
    assert explained.startswith("Waiting: devices start in order")


def test_the_explanation_of_a_retried_device_has_its_last_failure_and_its_obstacle() -> None:
    retried = make_update(attempt=2, explanation="Not finished in 1:00:00.")
    text = explanation(make_rollout(status=RolloutStatus.PAUSED), retried, NOON)
    assert text == "Not finished in 1:00:00. Waiting: the rollout is paused."
    assert explanation(make_rollout(), retried, NOON) == "Not finished in 1:00:00."


def test_the_explanation_of_an_offline_device_has_no_other_obstacle() -> None:
    offline = make_update(offline=True, explanation="Offline since noon.", not_before=at(30))
    assert explanation(make_rollout(strategy=AFTERNOON), offline, NOON) == "Offline since noon."


def test_the_explanation_of_an_updating_device_is_its_last_report() -> None:
    under_way = make_update(state=DeviceState.APPLYING, explanation="The device reported applying.")
    paused = make_rollout(status=RolloutStatus.PAUSED)
    assert explanation(paused, under_way, NOON) == "The device reported applying."


def test_a_pending_wave_is_named_before_a_closed_window() -> None:
    rollout = make_two_waves(Counts(queued=1), replace(AFTERNOON, soak=timedelta(0)))
    assert get_code(obstacle(rollout, 1, NOON)) == "earlierWave"
