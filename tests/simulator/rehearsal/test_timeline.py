"""A timeline is bounded, in order, and complete at both ends."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.wave import Counts
from simulator.rehearsal.timeline import MAX_EVENTS, Timeline
from tests.functions.builders import NOON, at
from tests.simulator.rehearsal.builders import make_event, make_rollout


@given(gaps=st.lists(st.floats(0, 100_000), min_size=1, max_size=200), limit=st.integers(2, 20))
def test_samples_are_bounded_in_order_and_have_both_ends(gaps: list[float], limit: int) -> None:
    timeline = Timeline(NOON, limit)
    now, first = 0.0, gaps[0]
    for number, gap in enumerate(gaps):
        now += gap
        timeline.add_sample(now, Counts(completed=number))

    samples = timeline.samples
    assert len(samples) <= limit + 1
    assert samples[0] == (first, Counts(completed=0))
    assert samples[-1] == (now, Counts(completed=len(gaps) - 1))
    assert all(before.seconds <= after.seconds for before, after in pairwise(samples))


def test_samples_of_a_long_rehearsal_are_spread_over_all_of_it() -> None:
    timeline = Timeline(NOON)
    for tick in range(100_000):
        timeline.add_sample(tick * 10.0, Counts(queued=1))

    gaps = [after.seconds - before.seconds for before, after in pairwise(timeline.samples)]
    assert 200 <= len(timeline.samples) <= 401
    assert max(gaps) <= 1_000_000 / 100


def test_each_event_is_kept_once_however_often_the_rollout_is_seen() -> None:
    timeline = Timeline(NOON)
    events = [make_event(0), make_event(10), make_event(20)]
    for seen in (0, 1, 1, 3, 3):
        timeline.record(at(seen), make_rollout(events=events[:seen]))

    assert list(timeline.events) == events
    assert timeline.seconds_of(events[2]) == 20
    assert timeline.seconds == 3


def test_of_very_many_events_the_first_and_the_latest_are_kept() -> None:
    timeline = Timeline(NOON)
    events = [make_event(second) for second in range(MAX_EVENTS + 100)]
    for end in range(0, len(events) + 1, 20):
        timeline.record(at(end), make_rollout(events=events[:end]))

    assert len(timeline.events) == MAX_EVENTS
    assert timeline.omitted_events == 100
    assert (timeline.events[0], timeline.events[-1]) == (events[0], events[-1])
