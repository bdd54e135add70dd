"""A completed device is provisional until its soak ends."""

from datetime import timedelta

import pytest

from functions.rollouts.device import attention, following, readiness
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.outage import HUB, Outage
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.texts import utc_time
from functions.rollouts.rollout import retry
from tests.functions.builders import at, make_moment, make_rollout, make_twin, speaking_twin
from tests.functions.rollouts.device.under_way import (
    TUTORIAL_TWIN,
    error_code,
    follow,
    make_accepted,
    make_soaking,
    states,
)

ALL_STATES = frozenset(RetryState)
SOAK = Strategy(soak=timedelta(seconds=100))
HEALTHY = speaking_twin("completed", 45, version=("2.4.0", 45))
DARK = speaking_twin("completed", 45, version=("2.4.0", 45), connected=False)
REVERTED = speaking_twin("standBy", 60, version=("1.0.0", 60))


def test_a_completed_device_soaks_and_then_has_completed() -> None:
    update = make_soaking(SOAK)
    assert (update.soak_until, update.ended_at) == (at(145), None)
    assert not attention.needs_fresh_twin(make_moment(144.9, SOAK), update)
    assert follow(make_moment(144.9, SOAK), update, HEALTHY).state is DeviceState.SOAKING
    assert attention.needs_fresh_twin(make_moment(145, SOAK), update)
    done = follow(make_moment(145, SOAK), update, HEALTHY)
    assert (done.state, done.ended_at) == (DeviceState.COMPLETED, at(145))
    assert states(done)[-2:] == ["soaking", "completed"]


def test_without_a_soak_a_completed_device_has_completed() -> None:
    assert (
        following.observe(make_moment(46), make_accepted(), HEALTHY).state is DeviceState.COMPLETED
    )


def test_a_soak_runs_from_the_report_even_if_it_is_observed_late() -> None:
    late = following.observe(make_moment(90, SOAK), make_accepted(), HEALTHY)
    assert (late.soak_until, late.history[-1].at) == (at(145), at(45))
    assert (late.firmware_status, late.progress_percent) == ("completed", 100)


def test_a_device_that_knows_only_the_tutorial_soaks_as_well() -> None:
    twin = make_twin(firmwareStatus=("completed", 45), lastFirmwareUpdate=("now", 45))
    update = following.observe(make_moment(46, SOAK), make_accepted(TUTORIAL_TWIN), twin)
    assert update.state is DeviceState.SOAKING
    assert follow(make_moment(145, SOAK), update, twin).state is DeviceState.COMPLETED


def test_a_soaking_device_is_observed_four_times_and_when_its_soak_ends() -> None:
    update, observed_at = make_soaking(SOAK), []
    for second in range(46, 146):
        if attention.due_at(make_moment(second, SOAK), update) == at(second):
            observed_at.append(second)
            update = follow(make_moment(second, SOAK), update, HEALTHY)
    assert observed_at == [70, 95, 120, 145]


def test_a_soaking_device_has_no_timeout() -> None:
    strategy = Strategy(soak=timedelta(hours=8), timeout=timedelta(minutes=1))
    update = make_soaking(strategy)
    assert not attention.needs_fresh_twin(make_moment(3600, strategy), update)
    assert follow(make_moment(3600, strategy), update, HEALTHY) is update


@pytest.mark.parametrize("seconds", [61, 145])
def test_a_device_that_goes_back_to_its_old_firmware_in_its_soak_has_reverted(
    seconds: float,
) -> None:
    update = follow(make_moment(seconds, SOAK), make_soaking(SOAK), REVERTED)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reverted")
    assert update.explanation == "The device went back to its old firmware, 1.0.0."


@pytest.mark.parametrize("code", ["reverted", "healthCheck"])
def test_a_device_that_went_back_in_its_soak_says_why(code: str) -> None:
    twin = speaking_twin(
        "failed", 60, errorCode=code, errorMessage="it rang no bell", version=("1.0.0", 60)
    )
    update = follow(make_moment(61, SOAK), make_soaking(SOAK), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reverted")
    assert "it rang no bell" in (update.explanation or "")


def test_a_device_that_reports_a_failure_in_its_soak_has_failed() -> None:
    twin = speaking_twin("failed", 60, errorCode="watchdog", version=("2.4.0", 60))
    update = follow(make_moment(61, SOAK), make_soaking(SOAK), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "reported")
    assert "watchdog" in (update.explanation or "")


def test_a_device_that_only_restarted_in_its_soak_is_healthy() -> None:
    restarted = make_twin(
        firmwareStatus=("standBy", 60),
        lastFirmwareUpdate=("x", 45),
        firmwareVersion=("2.4.0", 60),
    )
    assert follow(make_moment(61, SOAK), make_soaking(SOAK), restarted) == make_soaking(SOAK)
    assert (
        follow(make_moment(145, SOAK), make_soaking(SOAK), restarted).state is DeviceState.COMPLETED
    )


def test_a_device_that_is_offline_when_its_soak_ends_has_as_long_again_to_return() -> None:
    update = make_soaking(SOAK)
    observed_at = []
    for seconds in range(145, 265, 5):
        moment = make_moment(seconds, SOAK)
        if (attention.due_at(moment, update) or moment.now) <= moment.now:
            observed_at.append(seconds)
            update = follow(moment, update, DARK)
        assert update.state is DeviceState.SOAKING
    assert len(observed_at) < 12
    update = follow(make_moment(265, SOAK), update, DARK)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "wentDark")


def test_a_long_soak_leaves_its_length_to_return_and_outages_prolong_that() -> None:
    strategy = Strategy(soak=timedelta(seconds=1000))
    outage = Outage(code=HUB, message="The hub fails.", since=at(200), until=at(500))
    for outages, dark_at in (((), 2045), ((outage,), 2345)):
        rollout = make_rollout(strategy=strategy, outages=outages)
        update = follow(make_moment(1045, rollout=rollout), make_soaking(strategy), DARK)
        assert (update.dark_since, update.updated_at) == (at(1045), at(1045))
        until = utc_time(at(dark_at))
        assert update.explanation == f"Offline at the end of its soak; waited for until {until}."
        last = make_moment(dark_at - 1, rollout=rollout)
        assert follow(last, update, DARK).state is DeviceState.SOAKING
        over = make_moment(dark_at, rollout=rollout)
        assert error_code(follow(over, update, DARK)) == "wentDark"


def test_an_offline_device_is_observed_again_after_an_eighth_of_its_soak() -> None:
    update = follow(make_moment(145, SOAK), make_soaking(SOAK), DARK)
    assert attention.due_at(make_moment(146, SOAK), update) == at(157.5)
    assert follow(make_moment(157.4, SOAK), update, DARK) is update


def test_a_device_that_returns_in_that_time_has_completed() -> None:
    away = follow(make_moment(145, SOAK), make_soaking(SOAK), DARK)
    assert follow(make_moment(244, SOAK), away, HEALTHY).state is DeviceState.COMPLETED


def test_a_soak_ends_well_when_another_rollout_takes_the_device_over() -> None:
    other = speaking_twin("downloading", 80, rollout_id="another", version=("2.4.0", 45))
    update = follow(make_moment(81, SOAK), make_soaking(SOAK), other)
    assert (update.state, update.ended_at) == (DeviceState.COMPLETED, at(81))


def test_another_rollouts_older_report_does_not_end_a_soak() -> None:
    before = speaking_twin("completed", -60, rollout_id="another", version=("2.4.0", -60))
    update = make_soaking(SOAK)._replace(baseline=make_accepted(before).baseline)
    assert follow(make_moment(81, SOAK), update, before).state is DeviceState.SOAKING


def test_a_retry_of_a_reverted_device_sends_the_method_again() -> None:
    """Start the second attempt although the twin still reports the first as completed."""
    twin = speaking_twin("completed", 60, version=("1.0.0", 60))
    failed = follow(make_moment(61, SOAK), make_soaking(SOAK), twin)
    assert error_code(failed) == "reverted"
    again = retry.requeue(make_moment(70, SOAK), ALL_STATES, failed)
    assert follow(make_moment(71, SOAK), again, twin) is again
    assert readiness.is_ready(make_moment(71, SOAK), again)


def test_a_retry_of_a_device_that_went_dark_finds_it_healthy_once_it_is_back() -> None:
    dark = follow(make_moment(145, SOAK), make_soaking(SOAK), DARK)
    failed = follow(make_moment(265, SOAK), dark, DARK)
    again = retry.requeue(make_moment(300, SOAK), ALL_STATES, failed)
    away = follow(make_moment(301, SOAK), again, DARK)
    assert away.state is DeviceState.SOAKING
    assert follow(make_moment(320, SOAK), away, HEALTHY).state is DeviceState.COMPLETED
