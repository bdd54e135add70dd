"""The audit trail keeps every event: the latest with the rollout, the older ones beside it."""

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.audit import ITSELF, KEPT_AT_MOST, SPILLED_AT_ONCE, noted, spilled
from functions.rollouts.model.rollout import Event, Rollout
from tests.functions.builders import NOON, at, make_rollout


def with_events(number: int) -> Rollout:
    rollout = make_rollout()
    for count in range(number):
        rollout = noted(rollout, at(count), "paused", f"event {count}", "anna")
    return rollout


def test_an_event_says_what_happened_when_and_by_whom() -> None:
    (event,) = noted(make_rollout(), NOON, "paused", "Paused by anna.", "anna").events
    assert (event.at, event.action, event.by) == (NOON, "paused", "anna")
    assert event.message == "Paused by anna."


def test_what_nobody_did_the_rollout_did_itself() -> None:
    assert noted(make_rollout(), NOON, "started", "2 devices.").events[0].by == ITSELF


def test_the_latest_event_is_the_last() -> None:
    assert [event.message for event in with_events(3).events] == ["event 0", "event 1", "event 2"]


def test_as_many_events_as_there_is_room_for_stay_with_the_rollout() -> None:
    full = with_events(KEPT_AT_MOST)
    assert spilled(full) == (full, ())


def test_one_more_gives_the_oldest_away() -> None:
    kept, old = spilled(with_events(KEPT_AT_MOST + 1))
    assert [event.message for event in old] == [f"event {n}" for n in range(SPILLED_AT_ONCE)]
    assert len(kept.events) == KEPT_AT_MOST + 1 - SPILLED_AT_ONCE
    assert kept.event_count == KEPT_AT_MOST + 1


@given(st.integers(0, 150))
def test_no_event_is_lost_and_none_comes_twice(number: int) -> None:
    rollout = make_rollout()
    elsewhere: list[Event] = []
    for count in range(number):
        rollout = noted(rollout, at(count), "paused", f"event {count}")
        rollout, old = spilled(rollout)
        elsewhere += old
        assert len(rollout.events) <= KEPT_AT_MOST
    messages = [event.message for event in [*elsewhere, *rollout.events]]
    assert messages == [f"event {count}" for count in range(number)]
    assert rollout.event_count == number
