"""Test that a device has completed only if it runs the requested version."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import attention, following, invoking, readiness, versions
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Retry, RetryOn, Strategy, WhenAlreadyRunning
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import retry
from tests.functions.builders import (
    ROLLOUT_ID,
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    make_wave,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import (
    STANDING_BY,
    TUTORIAL_TWIN,
    YES,
    error_code,
    follow,
    make_accepted,
    make_claimed,
    make_soaking,
    states,
)

SOAK = Strategy(soak=timedelta(seconds=100))
MINUTE = Strategy(timeout=timedelta(minutes=1))
UNVERIFIED = Strategy(verify_version=False)
ANY_FAILURE = Strategy(retry=Retry(on=frozenset(RetryOn)))


def named(*names: str, strategy: Strategy | None = None) -> Rollout:
    """Make a rollout of 2.4.0 that devices may also report as `names`."""
    uri = "https://packages.example/fw-2.4.0.bin"
    firmware = Firmware(version="2.4.0", package_uri=uri, reported_as=names)
    return make_rollout(strategy=strategy, firmware=firmware)


def completed(version: Any, version_at: float = 45, seconds: float = 45) -> DeviceTwin:
    return speaking_twin("completed", seconds, version=(version, version_at))


def observe(
    twin: DeviceTwin,
    *,
    rollout: Rollout | None = None,
    strategy: Strategy | None = None,
    update: DeviceUpdate | None = None,
    seconds: float = 46,
) -> DeviceUpdate:
    moment = make_moment(seconds, strategy, rollout=rollout)
    return following.observe(moment, update or make_accepted(), twin)


# -- at the completion


@pytest.mark.parametrize("strategy", [Strategy(), SOAK, ANY_FAILURE])
def test_a_device_that_completes_on_a_third_version_has_failed(strategy: Strategy) -> None:
    update = observe(completed("2.3.9"), strategy=strategy)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "wrongVersion")
    assert update.explanation == (
        "The device reports version 2.3.9, expected 2.4.0. If 2.3.9 is another name of 2.4.0, list"
        " it in firmware.reportedAs of a new rollout."
    )


@pytest.mark.parametrize("version", ["v2.4.0", "2.4", "2.4.0+build.7", "2.4.0-rc1", "2.4.00"])
def test_another_spelling_of_the_version_must_be_listed(version: str) -> None:
    assert error_code(observe(completed(version))) == "wrongVersion"
    listed = observe(completed(version), rollout=named("other", version))
    assert listed.state is DeviceState.COMPLETED


@pytest.mark.parametrize("version", ["2.4.0\n", " 2.4.0 ", "\t2.4.0\r\n", "\ufeff2.4.0\u200b"])
def test_space_around_a_version_is_not_part_of_it(version: str) -> None:
    update = observe(completed(version))
    assert (update.state, update.running_version) == (DeviceState.COMPLETED, "2.4.0")
    assert observe(completed("2.4"), rollout=named(" 2.4 ")).state is DeviceState.COMPLETED


def test_a_version_that_is_a_number_is_read_as_its_text() -> None:
    assert error_code(observe(completed(7))) == "wrongVersion"
    assert observe(completed(7), rollout=named("7")).state is DeviceState.COMPLETED


@pytest.mark.parametrize("version", [None, True, "", "  ", ["2.3.9"], {"main": "2.3.9"}])
def test_a_device_whose_version_cannot_be_read_is_not_judged(version: Any) -> None:
    update = observe(completed(version))
    assert (update.state, update.running_version) == (DeviceState.COMPLETED, None)


def test_a_device_that_reports_no_version_is_not_judged() -> None:
    twin = make_twin(firmwareStatus=("completed", 45), lastFirmwareUpdate=("now", 45))
    update = observe(twin, update=make_accepted(TUTORIAL_TWIN))
    assert update.state is DeviceState.COMPLETED


def test_without_verification_a_third_version_completes() -> None:
    update = observe(completed("2.3.9"), strategy=UNVERIFIED)
    assert (update.state, update.running_version) == (DeviceState.COMPLETED, "2.3.9")


def test_without_verification_a_device_on_its_old_version_has_reverted() -> None:
    assert error_code(observe(completed("1.0.0"), strategy=UNVERIFIED)) == "reverted"


# -- a version that comes later than `completed`


def test_a_device_may_report_its_version_after_it_completed() -> None:
    waiting = observe(completed("1.0.0", -1000))
    assert (waiting.state, waiting.ended_at) == (DeviceState.ACCEPTED, None)
    assert waiting.updated_at == at(46)
    assert waiting.explanation == (
        "The device reported completed, and still reports version 1.0.0; waiting until"
        " 2026-11-23T13:00:00Z for it to report 2.4.0."
    )
    done = observe(completed("2.4.0", 50), update=waiting, seconds=51)
    assert (done.state, states(done)[-1]) == (DeviceState.COMPLETED, "completed")


def test_a_device_that_is_waited_for_may_report_a_third_version() -> None:
    waiting = observe(completed("1.0.0", -1000))
    assert error_code(observe(completed("2.3.9", 50), update=waiting)) == "wrongVersion"
    assert error_code(observe(completed("1.0.0", 50), update=waiting)) == "reverted"


def test_a_device_is_waited_for_until_a_timeout_that_was_changed() -> None:
    waiting = observe(completed("1.0.0", -1000))
    longer = observe(
        completed("1.0.0", -1000),
        update=waiting,
        strategy=Strategy(timeout=timedelta(hours=2)),
        seconds=60,
    )
    assert "waiting until 2026-11-23T14:00:00Z" in (longer.explanation or "")
    assert longer.updated_at == at(60)


def test_a_device_that_is_waited_for_is_observed_and_does_not_change_without_news() -> None:
    twin = completed("1.0.0", -1000)
    waiting = observe(twin)
    assert attention.due_at(make_moment(60), waiting) == at(46)
    later = follow(make_moment(60), waiting, twin)
    assert later == waiting._replace(observe_at=at(60))


def test_a_device_that_never_reports_its_version_fails_at_its_timeout() -> None:
    twin = completed("1.0.0", -1000)
    waiting = follow(make_moment(59, MINUTE), make_accepted(), twin)
    assert not waiting.state.ended
    assert attention.needs_fresh_twin(make_moment(60, MINUTE), waiting)
    update = follow(make_moment(60, MINUTE), waiting, twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "wrongVersion")
    assert "reports version 1.0.0, expected 2.4.0" in (update.explanation or "")


def test_a_device_that_restarts_for_ever_after_it_completed_went_dark() -> None:
    away = speaking_twin("completed", 45, version=("1.0.0", -1000), connected=False)
    update = follow(make_moment(60, MINUTE), make_accepted(), away)
    update = follow(make_moment(180, MINUTE), update, away)
    assert error_code(update) == "wentDark"


def test_a_device_that_completes_before_its_response_is_waited_for_as_well() -> None:
    waiting = observe(completed("1.0.0", -1000), update=make_claimed())
    assert (waiting.state, waiting.accepted_at) == (DeviceState.ACCEPTED, at(46))
    assert attention.due_at(make_moment(46), waiting) == at(46)
    accepted = invoking.record_outcome(make_moment(47), waiting, 1, YES)
    assert accepted.state is DeviceState.ACCEPTED
    assert observe(completed("2.4.0", 50), update=accepted).state is DeviceState.COMPLETED


@pytest.mark.parametrize("strategy", [Strategy(), SOAK])
def test_a_version_from_before_the_completion_may_be_the_requested_one(strategy: Strategy) -> None:
    """Test a device that reports its version when it starts, and `completed` after a test."""
    update = observe(completed("2.4.0", 30), strategy=strategy)
    assert update.state in {DeviceState.COMPLETED, DeviceState.SOAKING}


def test_a_device_that_reported_its_version_when_it_last_started_is_waited_for() -> None:
    """Test a device without `firmwareUpdate`: it reports its version with its status."""
    before = make_twin(firmwareStatus=("standBy", -60), firmwareVersion=("1.0.0", -60))
    twin = make_twin(
        firmwareStatus=("completed", 45),
        lastFirmwareUpdate=("now", 45),
        firmwareVersion=("1.0.0", -60),
    )
    waiting = observe(twin, update=make_accepted(before))
    assert (waiting.state, waiting.running_version) == (DeviceState.ACCEPTED, "1.0.0")


def test_in_a_crowd_a_device_that_completes_before_its_response_is_observed_later() -> None:
    crowd = make_rollout(make_wave(50, counts=Counts(updating=50)))
    waiting = observe(completed("1.0.0", -60), update=make_claimed(), rollout=crowd, seconds=200)
    assert waiting.observe_at == at(250)


def test_a_version_from_after_the_completion_counts_also_if_the_device_restarted_since() -> None:
    twin = make_twin(
        firmwareStatus=("standBy", 60),
        lastFirmwareUpdate=("now", 40),
        firmwareVersion=("2.3.9", 50),
    )
    assert error_code(observe(twin, seconds=61)) == "wrongVersion"


def test_without_a_new_time_of_the_completion_the_status_tells_when_a_device_completed() -> None:
    before = make_twin(
        firmwareStatus=("completed", -60),
        lastFirmwareUpdate=("monday", -60),
        firmwareVersion=("1.0.0", -60),
    )
    about = {"rolloutId": ROLLOUT_ID, "attempt": 1}
    twin = make_twin(
        firmwareStatus=("completed", 45),
        firmwareUpdate=(about, 45),
        lastFirmwareUpdate=("monday", -60),
        firmwareVersion=("2.3.9", 30),
    )
    waiting = observe(twin, update=make_accepted(before))
    assert (waiting.state, waiting.running_version) == (DeviceState.ACCEPTED, "2.3.9")


def test_a_version_that_was_stored_with_the_status_before_the_method_is_no_news() -> None:
    baseline = Baseline(status_at=at(-60))
    twin = make_twin(firmwareStatus=("completed", 45), firmwareVersion=("1.0.0", -60))
    update = observe(twin, update=make_accepted()._replace(baseline=baseline))
    assert update.state is DeviceState.COMPLETED


# -- in the soak


def test_a_device_that_runs_a_third_version_in_its_soak_has_failed() -> None:
    twin = speaking_twin("standBy", 60, version=("2.3.9", 60))
    update = follow(make_moment(61, SOAK), make_soaking(SOAK), twin)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "wrongVersion")
    assert update.running_version == "2.3.9"


def test_a_soaking_device_may_report_another_name_of_its_version() -> None:
    rollout = named("2.4", strategy=SOAK)
    twin = speaking_twin("standBy", 60, version=("2.4", 60))
    soaking = follow(make_moment(69, rollout=rollout), make_soaking(SOAK), twin)
    assert (soaking.running_version, soaking.updated_at) == ("2.4", at(69))
    update = follow(make_moment(145, rollout=rollout), soaking, twin)
    assert update.state is DeviceState.COMPLETED


def test_a_failure_that_a_soaking_device_reports_keeps_its_code() -> None:
    twin = speaking_twin("failed", 60, errorCode="watchdog", version=("2.3.9", 60))
    update = follow(make_moment(61, SOAK), make_soaking(SOAK), twin)
    assert error_code(update) == "reported"


def test_a_soak_is_prolonged_for_a_device_that_has_not_reported_its_version() -> None:
    strategy = Strategy(soak=timedelta(seconds=10), timeout=timedelta(minutes=2))
    twin = completed("1.0.0", -1000)
    update = observe(twin, strategy=strategy)
    assert (update.state, update.soak_until) == (DeviceState.SOAKING, at(55))
    update = follow(make_moment(55, strategy), update, twin)
    assert (update.state, update.soak_until) == (DeviceState.SOAKING, at(60))
    assert update.updated_at == at(55)
    assert follow(make_moment(59, strategy), update, twin) is update
    assert "waiting until 2026-11-23T12:02:00Z" in (update.explanation or "")
    done = follow(make_moment(60, strategy), update, completed("2.4.0", 58))
    assert done.state is DeviceState.COMPLETED
    late = follow(make_moment(120, strategy), update, twin)
    assert (late.state, error_code(late)) == (DeviceState.FAILED, "wrongVersion")


def test_a_soak_that_is_longer_than_the_timeout_is_long_enough_for_a_version() -> None:
    strategy = Strategy(soak=timedelta(minutes=5), timeout=timedelta(minutes=1))
    twin = completed("1.0.0", -1000)
    update = observe(twin, strategy=strategy)
    assert follow(make_moment(300, strategy), update, twin).state is DeviceState.SOAKING
    assert error_code(follow(make_moment(345, strategy), update, twin)) == "wrongVersion"


# -- the next attempt


def test_a_retry_of_a_device_on_a_third_version_sends_the_method_again() -> None:
    failed = observe(completed("2.3.9"))
    again = retry.requeue(make_moment(70), frozenset({RetryState.FAILED}), failed)
    assert following.observe(make_moment(71), again, completed("2.3.9")) is again
    assert readiness.is_ready(make_moment(71), again)


def test_a_queued_device_is_not_waited_for_because_of_an_older_version() -> None:
    second = follow(make_moment(60, MINUTE), make_accepted(), STANDING_BY)
    late = completed("1.0.0", -1000, seconds=70)
    assert following.observe(make_moment(71, MINUTE), second, late) is second


# -- the running version


def test_the_running_version_follows_the_twin() -> None:
    update = make_accepted()
    assert update.running_version == "1.0.0"
    restarted = speaking_twin("applying", 30, version=("2.4.0", 40))
    assert observe(restarted, update=update).running_version == "2.4.0"
    assert observe(STANDING_BY, update=update) is update


# -- devices that already run the version


def skip(twin: DeviceTwin, rollout: Rollout | None = None, **values: Any) -> DeviceUpdate | None:
    moment = make_moment(0, rollout=rollout or named("2.4"))
    return versions.skip_if_running(moment, make_update(**values), twin)


def test_a_device_that_changed_its_status_without_an_update_is_skipped() -> None:
    twin = make_twin(firmwareStatus=("standBy", -10), firmwareVersion=("2.4.0", -60))
    assert skip(twin) is not None


@pytest.mark.parametrize("status", ["standBy", "completed", "failed"])
def test_a_device_that_already_runs_the_version_is_skipped(status: str) -> None:
    update = skip(speaking_twin(status, -60, rollout_id="another", version=("2.4.0", -60)))
    assert update is not None
    assert (update.state, update.skip_reason) == (DeviceState.SKIPPED, SkipReason.ALREADY_RUNNING)
    assert update.explanation == "Skipped: the device already runs version 2.4.0."


def test_a_skipped_device_may_report_its_version_under_another_name() -> None:
    update = skip(speaking_twin("standBy", -60, version=("2.4", -60)))
    assert update is not None
    assert update.explanation == (
        "Skipped: the device already runs version 2.4.0, and reports it as 2.4."
    )


@pytest.mark.parametrize(
    "twin",
    [
        speaking_twin("standBy", -60, version=("2.4.1", -60)),
        TUTORIAL_TWIN,
        # An update is under way: it may run another version soon.
        speaking_twin("downloading", -60, rollout_id="another", version=("2.4.0", -900)),
        speaking_twin("applying", -60, rollout_id="another", version=("2.4.0", -60)),
        # Another update has completed since the version was reported.
        speaking_twin("completed", -60, rollout_id="another", version=("2.4.0", -900)),
        make_twin(
            firmwareStatus=("standBy", -10),
            lastFirmwareUpdate=("t", -20),
            firmwareVersion=("2.4.0", -900),
        ),
        make_twin(
            firmwareStatus=("completed", -10),
            startedApplyingImage=("t", -30),
            lastFirmwareUpdate=("t", -10),
            firmwareVersion=("2.4.0", -40),
        ),
    ],
)
def test_a_device_that_may_run_another_version_is_not_skipped(twin: DeviceTwin) -> None:
    assert skip(twin) is None


def test_a_device_that_reports_its_version_before_it_completes_is_skipped() -> None:
    twin = make_twin(
        firmwareStatus=("completed", -10),
        startedApplyingImage=("t", -30),
        lastFirmwareUpdate=("t", -10),
        firmwareVersion=("2.4.0", -20),
    )
    assert skip(twin) is not None


def test_a_device_is_not_skipped_if_the_version_is_to_be_installed_again() -> None:
    rollout = named(strategy=Strategy(when_already_running=WhenAlreadyRunning.REINSTALL))
    assert skip(speaking_twin("standBy", -60, version=("2.4.0", -60)), rollout) is None


def test_a_device_whose_attempt_is_in_doubt_is_not_skipped() -> None:
    twin = speaking_twin("standBy", -60, version=("2.4.0", -60))
    assert skip(twin, state=DeviceState.DISPATCHING, in_doubt=True) is None


def test_a_device_of_a_rollback_is_skipped_if_it_runs_its_earlier_version() -> None:
    earlier = Firmware(version="1.9.0", package_uri="https://packages.example/1.9.0.bin")
    rollout = make_rollout(earlier_firmware=(earlier,))
    old = speaking_twin("standBy", -60, version=("1.9.0", -60))
    assert skip(old, rollout, version="1.9.0") is not None
    assert skip(old, rollout) is None


# -- properties

VERSIONS = st.sampled_from(["1.0.0", "2.3.9", "2.4", "2.4.0"])
TIMES = st.integers(-100, 200)


@given(
    twins=st.lists(
        st.tuples(st.sampled_from(["completed", "standBy", "failed"]), TIMES, VERSIONS, TIMES),
        max_size=6,
    ),
    soak=st.sampled_from([0, 30]),
)
def test_a_device_completes_only_on_the_requested_version(
    twins: list[tuple[str, int, str, int]], soak: int
) -> None:
    """Check any order of reports, each observed with a fresh twin."""
    strategy = Strategy(soak=timedelta(seconds=soak), timeout=timedelta(seconds=250))
    rollout = named("2.4", strategy=strategy)
    update, seconds = make_accepted(), 0
    for status, status_at, version, version_at in twins:
        seconds += 60
        twin = speaking_twin(status, status_at, version=(version, version_at))
        before = update
        update = follow(_moment(rollout, seconds), update, twin)
        if update.state is DeviceState.COMPLETED is not before.state:
            assert version in {"2.4", "2.4.0"}
        assert update.state.ended or update.running_version == version


def _moment(rollout: Rollout, seconds: float) -> Moment:
    return make_moment(seconds, rollout=rollout)
