"""Each rule of the engine at its boundary."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.engine import CLAIM_LEASE
from functions.rollouts.method_outcome import (
    Answered,
    DeviceOffline,
    HubRefused,
    Lost,
    NotDelivered,
)
from functions.rollouts.model import (
    DeviceState,
    DeviceUpdate,
    MethodAnswer,
    Offline,
    OfflinePolicy,
    Retry,
    RetryOn,
    Strategy,
)
from tests.functions.builders import at, make_engine, make_twin, make_update, speaking_twin

YES = Answered(MethodAnswer(status=200, payload={"Response": "Firmware update started"}))
TUTORIAL_TWIN = make_twin(firmwareStatus=("standBy", -60))


def claimed() -> DeviceUpdate:
    return make_engine().claim(make_update(), speaking_twin("standBy", -60))


def accepted() -> DeviceUpdate:
    return make_engine().answered(claimed(), 1, YES)


def states(update: DeviceUpdate) -> list[str]:
    return [step.state.value for step in update.history]


# -- answers ---------------------------------------------------------------------------------


def test_a_yes_accepts_and_keeps_the_devices_answer() -> None:
    update = accepted()
    assert update.state is DeviceState.ACCEPTED
    assert update.method == YES.answer
    assert update.previous_version == "1.0.0"


def test_a_refusal_by_the_device_fails_as_rejected() -> None:
    update = make_engine().answered(claimed(), 1, Answered(MethodAnswer(status=400)))
    assert update.state is DeviceState.FAILED
    assert update.error is not None
    assert update.error.code == "rejected"


def test_a_busy_device_waits_for_its_turn_in_the_next_attempt() -> None:
    update = make_engine().answered(claimed(), 1, Answered(MethodAnswer(status=409)))
    assert (update.state, update.attempt, update.tries) == (DeviceState.QUEUED, 2, 0)
    assert update.not_before == at(30)
    assert update.method == MethodAnswer(status=409)


@pytest.mark.parametrize("outcome", [DeviceOffline(), NotDelivered("429")])
def test_what_never_reached_the_device_costs_no_try(outcome: DeviceOffline | NotDelivered) -> None:
    update = make_engine().answered(claimed(), 1, outcome)
    assert (update.state, update.attempt, update.tries) == (DeviceState.QUEUED, 2, 0)


def test_an_offline_device_is_skipped_where_the_strategy_says_so() -> None:
    skip = Strategy(offline=Offline(policy=OfflinePolicy.SKIP))
    update = make_engine(strategy=skip).answered(claimed(), 1, DeviceOffline())
    assert update.state is DeviceState.SKIPPED
    assert update.ended_at == at(0)


def test_a_device_that_the_hub_does_not_know_fails_at_once() -> None:
    update = make_engine().answered(claimed(), 1, HubRefused("unknown"))
    assert update.error is not None
    assert update.error.code == "unreachable"


def test_the_answer_of_an_older_attempt_is_no_news() -> None:
    second = replace(claimed(), attempt=2)
    assert make_engine().answered(second, 1, YES) is second


def test_an_answer_that_comes_after_the_devices_report_does_not_take_it_back() -> None:
    ahead = make_engine(5).observe(claimed(), speaking_twin("downloading", 4))
    update = make_engine(6).answered(ahead, 1, YES)
    assert update.state is DeviceState.DOWNLOADING
    assert update.method == YES.answer


# -- reports ---------------------------------------------------------------------------------


def test_stages_are_walked_in_order_and_the_end_is_the_end() -> None:
    update = accepted()
    for seconds, status in enumerate(["downloading", "applying", "completed"], start=1):
        update = make_engine(seconds).observe(update, speaking_twin(status, seconds))
    assert states(update) == ["dispatching", "accepted", "downloading", "applying", "completed"]
    assert update.progress_percent == 100
    assert update.ended_at == at(3)
    assert make_engine(9).observe(update, speaking_twin("failed", 8)) is update


def test_a_history_does_not_run_backwards_when_the_hubs_clock_is_behind() -> None:
    update = make_engine(10).answered(claimed(), 1, YES)
    update = make_engine(11).observe(update, speaking_twin("downloading", 4))
    times = [step.at for step in update.history]
    assert times == sorted(times)


def test_a_report_that_was_seen_already_changes_nothing() -> None:
    update = make_engine(5).observe(accepted(), speaking_twin("downloading", 4))
    assert make_engine(6).observe(update, speaking_twin("downloading", 4)) is update


def test_a_stage_that_was_passed_does_not_come_back() -> None:
    applying = make_engine(5).observe(accepted(), speaking_twin("applying", 4))
    older = make_engine(6).observe(applying, speaking_twin("downloading", 3))
    assert older.state is DeviceState.APPLYING


def test_a_reported_failure_is_final_unless_the_strategy_retries_it() -> None:
    twin = speaking_twin("failed", 5, errorCode="hashMismatch", errorMessage="bad")
    update = make_engine(6).observe(accepted(), twin)
    assert update.error is not None
    assert (update.state, update.error.code) == (DeviceState.FAILED, "reported")
    assert "hashMismatch" in update.error.message

    retried = Strategy(retry=Retry(on=frozenset({RetryOn.REPORTED})))
    update = make_engine(6, retried).observe(accepted(), twin)
    assert (update.state, update.attempt, update.tries) == (DeviceState.QUEUED, 2, 1)
    assert make_engine(7, retried).observe(update, twin) is update


# -- time-outs -------------------------------------------------------------------------------


def test_an_update_times_out_at_its_timeout_and_not_before() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=1))
    twin = speaking_twin("standBy", -60)
    before = make_engine(59.999, strategy)
    assert not before.must_be_sure(accepted())
    assert before.tick(accepted(), twin).state is DeviceState.ACCEPTED
    after = make_engine(60, strategy)
    assert after.must_be_sure(accepted())
    update = after.tick(accepted(), twin)
    assert update.error is not None
    assert (update.state, update.error.code) == (DeviceState.FAILED, "timedOut")


def test_a_time_out_of_a_connected_device_is_tried_again() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60))
    update = make_engine(60, strategy).tick(accepted(), speaking_twin("standBy", -60))
    assert (update.state, update.attempt, update.tries) == (DeviceState.QUEUED, 2, 1)


def test_a_device_that_is_gone_at_its_time_out_has_failed() -> None:
    """It may be bricked, so waiting for it would hide it."""
    strategy = Strategy(timeout=timedelta(seconds=60))
    gone = speaking_twin("standBy", -60, connected=False)
    for twin in (gone, None):
        update = make_engine(60, strategy).tick(accepted(), twin)
        assert update.error is not None
        assert (update.state, update.error.code) == (DeviceState.FAILED, "timedOut")


# -- offline ---------------------------------------------------------------------------------


def test_a_device_that_comes_back_is_due_at_once() -> None:
    waiting = make_engine().answered(claimed(), 1, DeviceOffline())
    still = make_engine(5).observe(waiting, speaking_twin("standBy", -60, connected=False))
    assert not make_engine(6).is_due(still)
    back = make_engine(7).observe(still, speaking_twin("standBy", 6))
    assert make_engine(7).is_due(back)


def test_a_connected_device_that_listens_to_no_methods_is_not_tried_at_every_tick() -> None:
    connected = speaking_twin("standBy", -60)
    update, tried = claimed(), []
    for seconds in range(0, 100, 10):
        engine = make_engine(seconds)
        update = engine.observe(update, connected)
        if update.state is DeviceState.DISPATCHING or engine.is_due(update):
            tried.append(seconds)
            again = engine.claim(update, connected)
            update = engine.answered(again, again.attempt, DeviceOffline())
    assert tried == [0, 10, 70]


def test_an_offline_device_fails_at_its_deadline_and_not_before() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=100)))
    waiting = make_engine(0, strategy).answered(claimed(), 1, DeviceOffline())
    assert make_engine(99.9, strategy).tick(waiting, None).state is DeviceState.QUEUED
    update = make_engine(100, strategy).tick(waiting, None)
    assert update.error is not None
    assert (update.state, update.error.code) == (DeviceState.FAILED, "unreachable")


# -- lost answers ----------------------------------------------------------------------------


def test_a_lost_answer_is_settled_by_the_twin() -> None:
    doubtful = make_engine(1).answered(claimed(), 1, Lost("504"))
    assert (doubtful.state, doubtful.in_doubt) == (DeviceState.DISPATCHING, True)
    update = make_engine(5).observe(doubtful, speaking_twin("downloading", 4))
    assert (update.state, update.in_doubt) == (DeviceState.DOWNLOADING, False)


def test_a_lost_answer_is_repeated_as_the_same_attempt() -> None:
    doubtful = make_engine(0).answered(claimed(), 1, Lost("504"))
    engine = make_engine(30)
    settled = engine.tick(doubtful, speaking_twin("standBy", -60))
    assert engine.is_due(settled)
    again = engine.claim(settled, speaking_twin("standBy", -60))
    assert (again.state, again.attempt) == (DeviceState.DISPATCHING, 1)


def test_a_device_that_may_not_know_repeats_is_watched_instead_of_asked_again() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600))
    update = make_engine(0, strategy).claim(make_update(), TUTORIAL_TWIN)
    update = make_engine(0, strategy).answered(update, 1, Lost("504"))
    for seconds in range(0, 600, 10):
        engine = make_engine(seconds, strategy)
        update = engine.tick(engine.observe(update, TUTORIAL_TWIN), TUTORIAL_TWIN)
        assert not engine.is_due(update)
        assert update.state is DeviceState.DISPATCHING
    given_up = make_engine(600, strategy).tick(update, TUTORIAL_TWIN)
    assert (given_up.state, given_up.attempt) == (DeviceState.QUEUED, 2)


def test_without_tries_left_a_lost_answer_is_watched_until_the_timeout() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600), retry=Retry(attempts=1))
    update = make_engine(0, strategy).answered(claimed(), 1, Lost("504"))
    twin = speaking_twin("standBy", -60)
    update = make_engine(30, strategy).tick(update, twin)
    assert update.not_before == at(600)
    update = make_engine(600, strategy).tick(update, twin)
    assert update.error is not None
    assert (update.state, update.error.code) == (DeviceState.FAILED, "unreachable")


def test_an_update_whose_sender_died_comes_into_doubt_after_its_lease() -> None:
    lease = CLAIM_LEASE.total_seconds()
    twin = speaking_twin("standBy", -60)
    assert make_engine(lease - 0.001).tick(claimed(), twin) == claimed()
    update = make_engine(lease).tick(claimed(), twin)
    assert update.in_doubt
    assert update.tries == 1


def test_a_batch_lost_in_the_queue_is_handed_out_again() -> None:
    update = make_engine(0).hand_out(make_update())
    assert not make_engine(59).is_due(update)
    assert make_engine(60).is_due(update)


def doubtful(seconds: float = 0) -> DeviceUpdate:
    return make_engine(seconds).answered(claimed(), 1, Lost("504"))


@pytest.mark.parametrize(
    "outcome", [DeviceOffline(), NotDelivered("429"), Answered(MethodAnswer(status=409))]
)
def test_a_repeat_that_goes_astray_keeps_the_attempt_that_may_be_running(
    outcome: DeviceOffline | NotDelivered | Answered,
) -> None:
    again = make_engine(30).claim(doubtful(), speaking_twin("standBy", -60))
    update = make_engine(31).answered(again, 1, outcome)
    assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
    assert update.in_doubt
    reported = make_engine(40).observe(update, speaking_twin("failed", 35, errorCode="x"))
    assert reported.state is DeviceState.FAILED


def test_a_repeat_keeps_what_the_attempt_began_with() -> None:
    """The device may have reported between the first call and the repeat."""
    again = make_engine(30).claim(doubtful(), speaking_twin("downloading", 20))
    assert again.baseline == claimed().baseline
    assert again.dispatched_at == at(0)


def test_the_next_attempt_begins_with_what_the_twin_holds_then() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60))
    second = make_engine(60, strategy).tick(accepted(), speaking_twin("applying", 50))
    again = make_engine(90, strategy).claim(second, speaking_twin("applying", 50))
    assert again.baseline.status_at == at(50)
    assert (again.accepted_at, again.method, again.dispatched_at) == (None, None, at(90))


def test_a_doubtful_device_that_is_away_is_waited_for_until_the_deadline() -> None:
    """Perhaps the method never reached it."""
    strategy = Strategy(
        timeout=timedelta(seconds=60), offline=Offline(deadline=timedelta(seconds=1000))
    )
    away = speaking_twin("standBy", -60, connected=False)
    update = doubtful()
    for seconds in range(30, 1000, 10):
        engine = make_engine(seconds, strategy)
        update = engine.tick(engine.observe(update, away), away)
        assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
        assert not engine.is_due(update)
    update = replace(update, not_before=at(1000))
    given_up = make_engine(1000, strategy).tick(update, away)
    assert given_up.error is not None
    assert given_up.error.code == "unreachable"


def test_a_doubtful_device_that_the_hub_no_longer_knows_has_failed() -> None:
    assert make_engine(30).tick(doubtful(), None).state is DeviceState.FAILED


def test_a_waiting_device_is_looked_at_closely_and_then_only_when_it_is_due() -> None:
    waiting = replace(make_update(), attempt=2, delays=1, not_before=at(1800))
    assert make_engine(299).is_watched(waiting)
    assert not make_engine(300).is_watched(waiting)
    assert make_engine(1800).is_watched(waiting)
    doubtful_and_away = replace(doubtful(), delays=1, not_before=at(1800))
    assert not make_engine(300).is_watched(doubtful_and_away)
    assert not make_engine(0).is_watched(make_update())
    assert make_engine(9999).is_watched(accepted())


def test_a_turn_that_has_not_come_costs_neither_attempt_nor_try() -> None:
    update = make_engine(1).wait_for_turn(make_update(), "busy")
    assert (update.state, update.attempt, update.tries) == (DeviceState.QUEUED, 1, 0)
    assert update.not_before == at(31)


def test_a_doubtful_device_that_stays_busy_is_given_up_at_the_deadline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=600)))
    busy, connected = Answered(MethodAnswer(status=409)), speaking_twin("standBy", -60)
    update, seconds = doubtful(), 0
    while not update.state.ended and seconds < 2000:
        seconds += 10
        engine = make_engine(seconds, strategy)
        update = engine.tick(update, connected)
        if engine.is_due(update):
            update = engine.answered(engine.claim(update, connected), 1, busy)
    assert update.error is not None
    assert (update.error.code, 600 <= seconds < 1000) == ("unreachable", True)


def test_a_device_that_was_tried_and_is_gone_is_not_skipped() -> None:
    skip = Strategy(timeout=timedelta(seconds=60), offline=Offline(policy=OfflinePolicy.SKIP))
    second = make_engine(60, skip).tick(accepted(), speaking_twin("standBy", -60))
    gone = make_engine(90, skip)
    update = gone.answered(gone.claim(second, speaking_twin("standBy", -60)), 2, DeviceOffline())
    assert update.state is DeviceState.FAILED


def test_the_watch_after_a_lost_answer_runs_from_the_last_sending() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600), retry=Retry(attempts=2))
    again = make_engine(500, strategy).claim(doubtful(), speaking_twin("standBy", -60))
    lost = make_engine(501, strategy).answered(again, 1, Lost("504"))
    watched = make_engine(700, strategy).tick(lost, speaking_twin("standBy", -60))
    assert watched.not_before == at(1100)


def test_an_earlier_attempt_may_still_complete_after_a_throttled_one() -> None:
    """The device knows only the tutorial's contract: nothing but times tell its reports apart."""
    strategy = Strategy(timeout=timedelta(seconds=60))
    first = make_engine(0, strategy).claim(make_update(), TUTORIAL_TWIN)
    first = make_engine(0, strategy).answered(first, 1, YES)
    second = make_engine(60, strategy).tick(first, TUTORIAL_TWIN)
    again = make_engine(90, strategy).claim(second, TUTORIAL_TWIN)
    throttled = make_engine(91, strategy).answered(again, 2, NotDelivered("429"))
    twin = make_twin(firmwareStatus=("completed", 100), lastFirmwareUpdate=("now", 100))
    assert make_engine(101, strategy).observe(throttled, twin).state is DeviceState.COMPLETED
