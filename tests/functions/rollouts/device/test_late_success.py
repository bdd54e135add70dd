"""A failed update completes if its device completes late."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.device import attention, moves
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.strategy import Offline, Retry, RetryOn, Strategy
from functions.rollouts.rollout import retry
from tests.functions.builders import at, make_moment, make_twin, speaking_twin
from tests.functions.rollouts.device.under_way import (
    AWAY,
    STANDING_BY,
    TUTORIAL_TWIN,
    error_code,
    follow,
    make_accepted,
    make_in_doubt,
    make_soaking,
    states,
)

ONCE = Strategy(
    timeout=timedelta(seconds=60),
    retry=Retry(on=frozenset({RetryOn.UNREACHABLE})),
    offline=Offline(deadline=timedelta(hours=1)),
)
SOAK = replace(ONCE, soak=timedelta(seconds=100))
LATE = speaking_twin("completed", 90, version=("2.4.0", 90))


def timed_out(strategy: Strategy = ONCE) -> DeviceUpdate:
    update = follow(make_moment(60, strategy), make_accepted(), STANDING_BY)
    assert error_code(update) == "timedOut"
    return update


def test_a_device_that_completes_after_its_timeout_has_completed() -> None:
    update = follow(make_moment(95, ONCE), timed_out(), LATE)
    assert (update.state, update.error, update.ended_at) == (DeviceState.COMPLETED, None, at(95))
    assert states(update)[-2:] == ["failed", "completed"]
    assert update.explanation == (
        "The device reported completed at 2026-11-23T12:01:30Z, late. It had failed: timedOut."
    )
    assert (update.firmware_status, update.progress_percent) == ("completed", 100)
    assert attention.due_at(make_moment(96, ONCE), update) is None


def test_a_device_that_went_dark_and_returns_completed_has_completed() -> None:
    update = follow(make_moment(60, ONCE), make_accepted(), AWAY)
    dark = follow(make_moment(180, ONCE), update, AWAY)
    assert error_code(dark) == "wentDark"
    back = speaking_twin("completed", 200, version=("2.4.0", 200))
    assert follow(make_moment(205, ONCE), dark, back).state is DeviceState.COMPLETED


def test_a_device_whose_response_was_lost_and_that_completes_late_has_completed() -> None:
    lost = replace(ONCE, retry=Retry(attempts=1))
    update = follow(make_moment(61, lost), make_in_doubt(TUTORIAL_TWIN), TUTORIAL_TWIN)
    failed = follow(make_moment(200, lost), update, TUTORIAL_TWIN)
    assert error_code(failed) == "unreachable"
    assert follow(make_moment(210, lost), failed, LATE).state is DeviceState.COMPLETED


def test_a_late_success_counts_only_after_its_soak() -> None:
    update = timed_out(SOAK)
    early = follow(make_moment(95, SOAK), update, LATE)
    assert (early.state, early.observe_at) == (DeviceState.FAILED, at(190))
    gone = replace(LATE, connected=False)
    assert follow(make_moment(190, SOAK), early, gone).state is DeviceState.FAILED
    assert follow(make_moment(190, SOAK), early, LATE).state is DeviceState.COMPLETED


def test_a_late_success_that_reverts_in_its_soak_stays_failed() -> None:
    early = follow(make_moment(95, SOAK), timed_out(SOAK), LATE)
    reverted = speaking_twin("completed", 150, version=("1.0.0", 150))
    after = follow(make_moment(190, SOAK), early, reverted)
    assert (after.state, error_code(after)) == (DeviceState.FAILED, "timedOut")


def test_a_device_that_went_dark_in_its_soak_must_be_seen_again() -> None:
    """Its old report alone shows nothing: it may have been bricked since."""
    update = follow(make_moment(145, SOAK), make_soaking(SOAK), AWAY)
    dark = moves.fail(make_moment(300, SOAK), update, ErrorCode.WENT_DARK, "offline")
    away = speaking_twin("completed", 45, version=("2.4.0", 45), connected=False)
    assert follow(make_moment(310, SOAK), dark, away).state is DeviceState.FAILED
    active = replace(away, active_at=at(305))
    for twin in (active, replace(away, connected=True)):
        assert follow(make_moment(310, SOAK), dark, twin).state is DeviceState.COMPLETED


@pytest.mark.parametrize(("seconds", "is_late"), [(60, False), (61, True)])
def test_a_report_that_is_newer_than_the_failure_shows_that_the_device_lived(
    seconds: float, is_late: bool
) -> None:
    twin = replace(speaking_twin("completed", seconds), connected=False)
    after = follow(make_moment(95, ONCE), timed_out(), twin)
    assert (after.state is DeviceState.COMPLETED) is is_late


def test_a_device_without_a_clock_completes_late_by_its_version() -> None:
    before = Baseline(status_at=at(-50), last_update='"monday"')
    update = timed_out()._replace(baseline=before)
    twin = make_twin(
        firmwareStatus=("completed", 90),
        firmwareVersion=("2.4.0", 90),
        lastFirmwareUpdate=("monday", 90),
    )
    assert follow(make_moment(95, ONCE), update, twin).state is DeviceState.COMPLETED


@pytest.mark.parametrize(
    "twin",
    [
        STANDING_BY,
        speaking_twin("applying", 90),
        speaking_twin("failed", 90),
        speaking_twin("completed", -60),
        speaking_twin("completed", 90, rollout_id="another"),
        speaking_twin("completed", 90, version=("1.0.0", 90)),
        None,
    ],
)
def test_nothing_but_the_success_of_this_rollout_completes_it(twin: DeviceTwin | None) -> None:
    after = follow(make_moment(95, ONCE), timed_out(), twin)
    assert (after.state, error_code(after)) == (DeviceState.FAILED, "timedOut")


def test_a_device_that_begins_another_update_is_not_observed_any_more() -> None:
    other = speaking_twin("downloading", 90, rollout_id="another")
    assert follow(make_moment(95, ONCE), timed_out(), other).observe_at is None


def test_a_failed_device_is_observed_again_after_as_long_as_since_its_failure() -> None:
    update = timed_out()
    assert update.observe_at == at(65)
    assert follow(make_moment(64, ONCE), update, STANDING_BY) is update
    assert follow(make_moment(70, ONCE), update, STANDING_BY).observe_at == at(80)


def test_a_failed_device_is_observed_at_growing_intervals_until_the_deadline() -> None:
    update, observed_at = timed_out(), []
    for second in range(60, 8000):
        moment = make_moment(second, ONCE)
        if attention.is_due(moment, update):
            observed_at.append(second - 60)
            update = follow(moment, update, STANDING_BY)
    assert observed_at == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120]
    assert (update.state, update.observe_at) == (DeviceState.FAILED, None)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_only_a_device_that_may_be_at_work_is_observed(code: ErrorCode) -> None:
    never_begun = moves.fail(make_moment(), make_accepted(), code, "why")
    begun = moves.fail(make_moment(), make_accepted()._replace(attempts_used=1), code, "why")
    silent = {ErrorCode.TIMED_OUT, ErrorCode.WENT_DARK, ErrorCode.WRONG_VERSION}
    assert (never_begun.observe_at is not None) == (code in silent)
    assert (begun.observe_at is not None) == (code in {*silent, ErrorCode.UNREACHABLE})


def test_a_retry_ends_the_observation() -> None:
    again = retry.requeue(make_moment(70, ONCE), frozenset(RetryState), timed_out())
    assert (again.state, again.observe_at) == (DeviceState.QUEUED, None)
