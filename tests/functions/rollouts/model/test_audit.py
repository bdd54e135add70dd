"""The audit trail keeps every event; old events are stored apart from the rollout."""

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.audit import add_event, spill_events
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.rollout import Rollout
from tests.functions.builders import NOON, at, make_rollout

MAX_EVENTS = 40


def with_events(number: int) -> Rollout:
    rollout = make_rollout()
    for count in range(number):
        rollout = add_event(rollout, at(count), "paused", f"event {count}", "anna")
    return rollout


def test_an_event_has_a_time_an_action_a_caller_and_a_message() -> None:
    (event,) = add_event(make_rollout(), NOON, "paused", "Paused by anna.", "anna").audit.events
    assert (event.at, event.action, event.by) == (NOON, "paused", "anna")
    assert event.message == "Paused by anna."


def test_an_event_without_a_caller_is_by_the_rollout_itself() -> None:
    assert add_event(make_rollout(), NOON, "started", "2 devices.").audit.events[0].by == "rollout"


def test_the_latest_event_is_the_last() -> None:
    assert [event.message for event in with_events(3).audit.events] == [
        "event 0",
        "event 1",
        "event 2",
    ]


def test_the_highest_number_of_events_stays_with_the_rollout() -> None:
    full = with_events(MAX_EVENTS)
    assert spill_events(full, MAX_EVENTS) == (full, ())


def test_one_event_more_spills_the_oldest_events() -> None:
    kept, old = spill_events(with_events(MAX_EVENTS + 1), MAX_EVENTS)
    assert [event.message for event in old] == [f"event {n}" for n in range(MAX_EVENTS // 2)]
    assert len(kept.audit.events) == MAX_EVENTS + 1 - MAX_EVENTS // 2
    assert kept.audit.event_count == MAX_EVENTS + 1


@given(st.integers(0, 150))
def test_spilling_neither_loses_nor_repeats_events(number: int) -> None:
    rollout = make_rollout()
    spilled: list[Event] = []
    for count in range(number):
        rollout = add_event(rollout, at(count), "paused", f"event {count}")
        rollout, old = spill_events(rollout, MAX_EVENTS)
        spilled += old
        assert len(rollout.audit.events) <= MAX_EVENTS
    messages = [event.message for event in [*spilled, *rollout.audit.events]]
    assert messages == [f"event {count}" for count in range(number)]
    assert rollout.audit.event_count == number
