"""Reports and elapsed time move an update that is under way."""

from datetime import timedelta

import pytest

from functions.rollouts.device import attention, following, invoking, readiness
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.method_outcome import DeviceOffline
from functions.rollouts.model.strategy import Offline, Retry, RetryOn, Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    make_wave,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import (
    AWAY,
    STANDING_BY,
    TUTORIAL_TWIN,
    YES,
    error_code,
    follow,
    make_accepted,
    make_claimed,
    make_in_doubt,
    states,
)

ONE_MINUTE = Strategy(timeout=timedelta(seconds=60))
CROWD = make_rollout(make_wave(50, counts=Counts(updating=50)))


# -- reports ---------------------------------------------------------------------------------


def test_stages_follow_in_order_and_an_ended_update_stays_ended() -> None:
    update = make_accepted()
    for seconds, status in enumerate(["downloading", "applying", "completed"], start=1):
        update = following.observe(make_moment(seconds), update, speaking_twin(status, seconds))
    assert states(update)[1:] == [
        "dispatching", "accepted", "downloading", "applying", "completed",
    ]  # fmt: skip
    assert (update.progress_percent, update.ended_at) == (100, at(3))
    assert following.observe(make_moment(9), update, speaking_twin("failed", 8)) is update


def test_stages_between_two_observations_enter_the_history_with_the_hubs_times() -> None:
    twin = make_twin(
        firmwareStatus=("completed", 45),
        downloadComplete=("x", 15),
        startedApplyingImage=("x", 30),
        lastFirmwareUpdate=("x", 45),
    )
    update = following.observe(make_moment(50), make_accepted(TUTORIAL_TWIN), twin)
    assert [(step.state.value, step.at) for step in update.history[-3:]] == [
        ("downloading", at(15)),
        ("applying", at(30)),
        ("completed", at(45)),
    ]


def test_a_history_does_not_run_backwards_when_the_hubs_clock_is_behind() -> None:
    update = make_accepted(seconds=10)
    for status, seconds in (("downloading", 4), ("completed", 5)):
        update = following.observe(make_moment(11), update, speaking_twin(status, seconds))
    times = [step.at for step in update.history]
    assert times == sorted(times)


def test_a_report_that_was_seen_already_changes_nothing() -> None:
    update = following.observe(make_moment(5), make_accepted(), speaking_twin("downloading", 4))
    assert following.observe(make_moment(6), update, speaking_twin("downloading", 4)) is update


def test_progress_within_a_stage_adds_no_history_entry() -> None:
    started = following.observe(make_moment(5), make_accepted(), speaking_twin("downloading", 4))
    halfway = speaking_twin("downloading", 6, progressPercent=50)
    update = following.observe(make_moment(7), started, halfway)
    assert update.progress_percent == 50
    assert update.history == started.history


def test_a_reported_stage_ends_every_wait_of_the_update() -> None:
    waiting = make_in_doubt()._replace(delays=2, progress_percent=40)
    update = following.observe(make_moment(5), waiting, speaking_twin("downloading", 4))
    assert update.explanation == "The device reported downloading."
    assert (update.firmware_status, update.progress_percent) == ("downloading", 40)
    assert (update.in_doubt, update.not_before, update.waiting_since) == (False, None, None)
    assert (update.delays, update.has_accepted, update.updated_at) == (0, True, at(5))


def test_progress_keeps_the_explanation_and_a_report_without_it_keeps_the_progress() -> None:
    started = following.observe(make_moment(5), make_accepted(), speaking_twin("downloading", 4))
    half = speaking_twin("downloading", 6, progressPercent=50)
    halfway = following.observe(make_moment(7), started, half)
    assert (halfway.explanation, halfway.updated_at) == (started.explanation, at(7))
    applying = following.observe(make_moment(9), halfway, speaking_twin("applying", 8))
    assert (applying.progress_percent, applying.updated_at) == (50, at(9))


def test_in_a_crowd_a_device_that_reported_a_stage_is_observed_later() -> None:
    moment = make_moment(200, rollout=CROWD)
    update = following.observe(moment, make_accepted(), speaking_twin("downloading", 4))
    assert update.observe_at == at(250)


def test_a_late_completion_ends_the_wait_for_an_offline_device() -> None:
    second = follow(make_moment(60, ONE_MINUTE), make_accepted(), STANDING_BY)
    waiting = second._replace(offline=True, delays=2)
    done = following.observe(make_moment(71), waiting, speaking_twin("completed", 70))
    assert (done.state, done.offline, done.delays) == (DeviceState.COMPLETED, False, 0)
    soak = Strategy(soak=timedelta(seconds=100))
    soaking = following.observe(make_moment(71, soak), waiting, speaking_twin("completed", 70))
    assert (soaking.state, soaking.offline, soaking.delays) == (DeviceState.SOAKING, False, 0)


def test_a_stage_that_was_passed_does_not_come_back() -> None:
    applying = following.observe(make_moment(5), make_accepted(), speaking_twin("applying", 4))
    older = following.observe(make_moment(6), applying, speaking_twin("downloading", 3))
    assert older.state is DeviceState.APPLYING


def test_a_completed_left_from_an_earlier_update_is_no_news() -> None:
    old = make_twin(firmwareStatus=("completed", -60), lastFirmwareUpdate=("monday", -60))
    update = make_accepted(old)
    assert following.observe(make_moment(5), update, old) is update


def test_a_reported_failure_is_final_unless_the_strategy_retries_it() -> None:
    twin = speaking_twin("failed", 5, errorCode="hashMismatch", errorMessage="bad")
    update = following.observe(make_moment(6), make_accepted(), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reported")
    assert "hashMismatch" in (update.explanation or "")

    retried = Strategy(retry=Retry(on=frozenset({RetryOn.REPORTED})))
    update = following.observe(make_moment(6, retried), make_accepted(), twin)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 1)
    assert following.observe(make_moment(7, retried), update, twin) is update


def test_a_device_that_waits_for_its_next_attempt_may_complete_the_last_one_after_all() -> None:
    second = follow(make_moment(60, ONE_MINUTE), make_accepted(), STANDING_BY)
    assert (second.state, second.attempt) == (DeviceState.QUEUED, 2)
    late = speaking_twin("completed", 70)
    assert following.observe(make_moment(71), second, late).state is DeviceState.COMPLETED


def test_a_device_that_reports_that_it_went_back_has_reverted_and_is_not_retried() -> None:
    strategy = Strategy(retry=Retry(on=frozenset(RetryOn)))
    twin = speaking_twin("failed", 5, errorCode="reverted", errorMessage="boot failed")
    update = following.observe(make_moment(6, strategy), make_accepted(), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reverted")


def test_a_device_that_completed_on_its_old_firmware_has_reverted() -> None:
    twin = speaking_twin("completed", 45, version=("1.0.0", 45))
    update = following.observe(make_moment(46), make_accepted(), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reverted")


def test_an_old_version_in_the_twin_does_not_make_a_completed_device_fail() -> None:
    """Test a device on the tutorial's firmware again, which no longer reports its version."""
    leftover = make_twin(firmwareStatus=("standBy", -60), firmwareVersion=("1.0.0", -9999))
    update = make_accepted(leftover)
    assert update.previous_version == "1.0.0"
    twin = make_twin(
        firmwareStatus=("completed", 45),
        lastFirmwareUpdate=("now", 45),
        firmwareVersion=("1.0.0", -9999),
    )
    assert following.observe(make_moment(46), update, twin).state is DeviceState.COMPLETED


def test_an_update_to_the_same_version_completes() -> None:
    update = make_accepted(speaking_twin("standBy", -60, version=("2.4.0", -60)))
    twin = speaking_twin("completed", 45, version=("2.4.0", 45))
    assert following.observe(make_moment(46), update, twin).state is DeviceState.COMPLETED


# -- timeouts  -------------------------------------------------------------------------------


def test_an_update_times_out_at_its_timeout_and_not_before() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=1))
    before, after = make_moment(59.999, strategy), make_moment(60, strategy)
    assert not attention.needs_fresh_twin(before, make_accepted())
    assert follow(before, make_accepted(), STANDING_BY).state is DeviceState.ACCEPTED
    assert attention.needs_fresh_twin(after, make_accepted())
    update = follow(after, make_accepted(), STANDING_BY)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "timedOut")


def test_a_timeout_of_a_connected_device_is_retried() -> None:
    update = follow(make_moment(60, ONE_MINUTE), make_accepted(), STANDING_BY)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 1)
    assert update.not_before == at(90)


def test_timeouts_are_retried_as_often_as_the_strategy_allows() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=3))
    update, sent = make_update(), 0
    for seconds in range(0, 1000, 10):
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            sent += 1
            update = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, update, update.attempt, YES)
    assert (sent, error_code(update)) == (3, "timedOut")


@pytest.mark.parametrize("stage", ["downloading", "applying"])
def test_the_timeout_runs_from_the_acceptance_not_from_the_latest_report(stage: str) -> None:
    twin = speaking_twin(stage, 59)
    update = following.observe(make_moment(59, ONE_MINUTE), make_accepted(), twin)
    assert follow(make_moment(60, ONE_MINUTE), update, twin).state is DeviceState.QUEUED


def test_a_device_that_is_offline_at_its_timeout_went_dark() -> None:
    update = follow(make_moment(60, ONE_MINUTE), make_accepted(), AWAY)
    update = follow(make_moment(180, ONE_MINUTE), update, AWAY)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "wentDark")


# -- offline ---------------------------------------------------------------------------------


def test_a_device_that_comes_back_is_ready_at_once() -> None:
    waiting = invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceOffline())
    still = follow(make_moment(5), waiting, AWAY)
    assert not readiness.is_ready(make_moment(6), still)
    back = follow(make_moment(7), still, STANDING_BY)
    assert readiness.is_ready(make_moment(7), back)


def test_an_offline_device_fails_at_its_deadline_and_not_before() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=100)))
    waiting = invoking.record_outcome(make_moment(0, strategy), make_claimed(), 1, DeviceOffline())
    assert follow(make_moment(29.9, strategy), waiting, AWAY).state is DeviceState.QUEUED
    again = follow(make_moment(100, strategy), waiting, AWAY)
    assert readiness.is_ready(make_moment(100, strategy), again)
    claimed = invoking.claim(make_moment(100, strategy), again, STANDING_BY)
    update = invoking.record_outcome(make_moment(100, strategy), claimed, 2, DeviceOffline())
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "unreachable")


def test_the_deadline_runs_from_when_the_device_was_first_found_offline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=100)))
    waiting = invoking.record_outcome(make_moment(50, strategy), make_claimed(), 1, DeviceOffline())
    for seconds, state in ((149.9, DeviceState.QUEUED), (150, DeviceState.FAILED)):
        moment = make_moment(seconds, strategy)
        claimed = invoking.claim(moment, follow(moment, waiting, AWAY), AWAY)
        update = invoking.record_outcome(moment, claimed, 2, DeviceOffline())
        assert update.state is state


def test_a_waiting_device_is_observed_in_every_tick_and_later_only_when_due() -> None:
    waiting = make_update(
        attempt=2, delays=1, offline=True, waiting_since=at(0), not_before=at(1800)
    )
    assert attention.due_at(make_moment(299), waiting) == at(299)
    assert attention.due_at(make_moment(300), waiting) == at(1800)


def test_in_a_crowd_a_waiting_device_is_observed_only_when_it_is_due() -> None:
    waiting = make_update(
        attempt=2, delays=1, offline=True, waiting_since=at(0), not_before=at(1800)
    )
    assert attention.due_at(make_moment(1, rollout=CROWD), waiting) == at(1800)


def test_a_device_that_only_waits_to_start_or_has_ended_is_not_observed() -> None:
    assert attention.due_at(make_moment(), make_update()) is None
    for state in DeviceState:
        if state.ended:
            assert attention.due_at(make_moment(), make_update(state=state)) is None


# -- when a device is observed ---------------------------------------------------------------


def test_few_devices_are_observed_in_every_tick() -> None:
    assert attention.due_at(make_moment(), make_accepted()) == at(0)


def test_in_a_crowd_a_device_is_observed_when_others_had_finished() -> None:
    rollout = make_rollout(
        make_wave(50, counts=Counts(updating=50)), finished=10, finish_seconds=1200.0
    )
    update = invoking.record_outcome(make_moment(1, rollout=rollout), make_claimed(), 1, YES)
    assert attention.due_at(make_moment(1, rollout=rollout), update) == at(120)


def test_an_observation_without_news_delays_the_next_one() -> None:
    moment = make_moment(200, rollout=CROWD)
    update = follow(moment, make_accepted(), STANDING_BY)
    assert update.observe_at == at(250)
    assert update.history == make_accepted().history
