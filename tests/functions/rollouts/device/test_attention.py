"""When a device is observed, how fresh the observation must be, and which blocks are due."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState
from functions.rollouts.model.outage import DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.strategy import Offline, Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import at, make_moment, make_rollout, make_update, make_wave

FOLLOWED = make_update(attempt=2, dispatched_at=at(0), observe_at=at(90), not_before=at(300))


def crowd(seconds: float, updating: int = 21, **values: Any) -> Moment:
    wave = make_wave(50, counts=Counts(updating=updating))
    return make_moment(seconds, rollout=make_rollout(wave, **values))


# -- when a device in flight is observed -------------------------------------------------------


def test_up_to_twenty_devices_are_observed_in_every_tick() -> None:
    assert attention.next_observation(crowd(200, updating=20), at(0)) == at(200)
    assert attention.next_observation(crowd(200, updating=21), at(0)) == at(250)


@pytest.mark.parametrize(("seconds", "again"), [(200, 250), (20, 25), (10, 15), (0, 5)])
def test_in_a_crowd_an_observation_follows_after_a_quarter_of_the_time_and_five_seconds(
    seconds: float, again: float
) -> None:
    assert attention.next_observation(crowd(seconds), at(0)) == at(again)


def test_a_device_that_was_not_invoked_is_observed_at_once() -> None:
    assert attention.next_observation(crowd(200), None) == at(200)


@pytest.mark.parametrize(("finished", "again"), [(4, 125), (5, 240)])
def test_five_finished_devices_tell_how_long_a_device_usually_takes(
    finished: int, again: float
) -> None:
    moment = crowd(100, finished=finished, finish_seconds=240.0 * finished)
    assert attention.next_observation(moment, at(0)) == at(again)
    later = crowd(240, finished=finished, finish_seconds=240.0 * finished)
    assert attention.next_observation(later, at(0)) == at(300)


@pytest.mark.parametrize(
    ("code", "until", "again"),
    [(DAILY_QUOTA, None, 250), (DAILY_QUOTA, at(150), 200), (HUB, None, 200)],
)
def test_few_devices_are_observed_seldom_while_the_messages_of_the_day_are_used_up(
    code: str, until: Any, again: float
) -> None:
    outage = Outage(code=code, message="Wait.", since=at(100), until=until)
    ended = replace(outage, until=at(110))
    rollout = make_rollout(outages=(ended, outage))
    assert attention.next_observation(make_moment(200, rollout=rollout), at(0)) == at(again)


@pytest.mark.parametrize(
    ("soak", "soaking", "offline"), [(800, 300, 200), (30, 107.5, 105), (8, 105, 105)]
)
def test_a_soaking_device_is_observed_each_quarter_and_an_offline_one_each_eighth(
    soak: float, soaking: float, offline: float
) -> None:
    moment = make_moment(100, Strategy(soak=timedelta(seconds=soak)))
    assert attention.next_soak_observation(moment, at(900)) == at(soaking)
    assert attention.next_search(moment, at(900)) == at(offline)
    assert attention.next_soak_observation(moment, at(102)) == at(102)
    assert attention.next_search(moment, at(102)) == at(102)


@pytest.mark.parametrize(
    ("seconds", "again"), [(0, 5), (3, 8), (100, 200), (3599, 7198), (3600, None), (3601, None)]
)
def test_a_failed_device_is_observed_after_as_long_again_until_the_deadline(
    seconds: float, again: float | None
) -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(hours=1)))
    moment = make_moment(seconds, strategy)
    expected = None if again is None else at(again)
    assert attention.next_late_observation(moment, at(0)) == expected
    assert attention.next_late_observation(moment, None) == at(seconds + 5)


# -- when an update needs attention ------------------------------------------------------------


def test_the_first_of_its_times_makes_an_update_due() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60))
    moment = make_moment(10, strategy)
    update = make_update(state=DeviceState.ACCEPTED, accepted_at=at(0))
    assert attention.due_at(moment, update) == at(60)
    assert attention.due_at(moment, update._replace(observe_at=at(50))) == at(50)
    assert attention.due_at(moment, update._replace(observe_at=at(70))) == at(60)
    assert attention.due_at(moment, update._replace(not_before=at(40))) == at(40)
    assert attention.due_at(moment, update._replace(dark_since=at(61))) == at(181)
    assert attention.due_at(moment, update._replace(accepted_at=None)) == at(10)


def test_a_waiting_update_is_due_at_the_end_of_its_wait_until_it_may_start() -> None:
    waiting = make_update(delays=1, not_before=at(60))
    assert attention.due_at(make_moment(59), waiting) == at(60)
    assert attention.due_at(make_moment(60), waiting) is None


def test_a_followed_update_is_due_at_its_observation_and_at_its_end() -> None:
    assert attention.due_at(make_moment(10), FOLLOWED) == at(90)
    assert attention.due_at(make_moment(10), FOLLOWED._replace(observe_at=at(400))) == at(300)


def test_only_a_failed_update_has_a_time_after_its_end() -> None:
    for state in DeviceState:
        if state.ended:
            due_at = attention.due_at(make_moment(), make_update(state=state, observe_at=at(90)))
            assert due_at == (at(90) if state is DeviceState.FAILED else None)


def test_the_first_of_the_updates_that_need_attention_makes_their_block_due() -> None:
    idle = [make_update(state=state) for state in DeviceState if state.ended]
    waiting = make_update(delays=1, not_before=at(200))
    failed = make_update(state=DeviceState.FAILED, observe_at=at(150))
    accepted = make_update(state=DeviceState.ACCEPTED, observe_at=at(120))
    moment = make_moment(10)
    assert attention.first_due_at(moment, [make_update(), *idle]) is None
    assert attention.first_due_at(moment, [*idle, waiting]) == at(200)
    assert attention.first_due_at(moment, [waiting, failed, *idle]) == at(150)
    assert attention.first_due_at(moment, [failed, accepted, waiting]) == at(120)


def test_updates_that_are_never_due_are_left_out() -> None:
    queued = [make_update(), make_update(not_before=at(9)), FOLLOWED]
    ended = [make_update(state=state) for state in DeviceState if state.ended]
    failed = make_update(state=DeviceState.FAILED, observe_at=at(9))
    under_way = [make_update(state=state) for state in DeviceState if not state.ended][1:]
    left = attention.leave_out_idle([*queued, *ended, failed, *under_way])
    assert left == [*queued[1:], failed, *under_way]


@pytest.mark.parametrize(("seconds", "is_due"), [(89, False), (90, True), (91, True)])
def test_an_update_and_its_block_are_due_from_their_time_on(seconds: float, is_due: bool) -> None:
    assert attention.is_due(make_moment(seconds), FOLLOWED) is is_due
    rollout = make_rollout(make_wave(100), block_summaries=(BlockSummary(at(90), 1),))
    assert list(attention.due_blocks(rollout, at(seconds))) == ([0] if is_due else [])


def test_blocks_are_due_in_the_order_of_their_times_and_at_most_two_hundred() -> None:
    times = [None, *range(249, -1, -1)]
    summaries = tuple(BlockSummary(None if time is None else at(time), 1) for time in times)
    rollout = make_rollout(make_wave(25_100), block_summaries=summaries)
    assert list(attention.due_blocks(rollout, at(300))) == list(range(250, 50, -1))


# -- what must be read -------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(DeviceState))
def test_a_reported_failure_is_news_and_messages_are_reserved_while_a_device_is_under_way(
    state: DeviceState,
) -> None:
    update = make_update(state=state)
    is_under_way = state in {*IN_FLIGHT, DeviceState.SOAKING}
    assert attention.can_report_failure(update) is is_under_way
    assert attention.is_under_way(update) is is_under_way


def test_messages_are_reserved_for_a_followed_device_too() -> None:
    assert attention.is_under_way(FOLLOWED)
    assert not attention.can_report_failure(FOLLOWED)
    assert not attention.is_under_way(FOLLOWED._replace(observe_at=None))


@pytest.mark.parametrize("state", sorted(set(DeviceState) - {DeviceState.QUEUED}))
def test_the_twin_of_an_ended_update_has_news_only_if_it_failed(state: DeviceState) -> None:
    has_news = state is DeviceState.FAILED or not state.ended
    assert attention.needs_twin(make_moment(), make_update(state=state)) is has_news


def test_the_twin_of_a_queued_device_has_news_after_its_first_attempt_or_if_it_is_missing() -> None:
    second = make_update(attempt=2)
    assert not attention.needs_twin(make_moment(), make_update())
    assert attention.needs_twin(make_moment(), second)
    assert not attention.needs_twin(crowd(0), second)
    for moment in (make_moment(), crowd(0)):
        assert attention.needs_twin(moment, make_update(missing_since=at(0)))
        assert attention.needs_twin(moment, FOLLOWED)


@pytest.mark.parametrize("seconds", [59, 60])
@pytest.mark.parametrize(
    "values",
    [
        {"state": DeviceState.SOAKING, "soak_until": at(60), "not_before": at(0)},
        {"state": DeviceState.DISPATCHING, "not_before": at(60)},
        {"attempt": 2, "observe_at": at(0), "not_before": at(60)},
        {"state": DeviceState.APPLYING, "accepted_at": at(0), "not_before": at(0)},
    ],
)
def test_a_fresh_twin_is_needed_once_the_time_of_an_update_has_come(
    values: dict[str, Any], seconds: float
) -> None:
    moment = make_moment(seconds, Strategy(timeout=timedelta(seconds=60)))
    assert attention.needs_fresh_twin(moment, make_update(**values)) is (seconds == 60)


def test_a_fresh_twin_is_needed_of_a_missing_device_and_of_a_failed_one() -> None:
    for values in ({"missing_since": at(0)}, {"state": DeviceState.FAILED}):
        assert attention.needs_fresh_twin(make_moment(), make_update(**values))
    assert not attention.needs_fresh_twin(make_moment(), make_update(not_before=at(0)))
