"""Test the heap of times against a dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.simulated_fleet.timers import Timers

TIMES = st.integers(0, 20)
STEPS = st.lists(
    st.tuples(st.just("put"), st.integers(0, 4), st.none() | TIMES)
    | st.tuples(st.just("pop"), TIMES, st.none()),
    max_size=60,
)


@given(STEPS)
def test_each_key_is_returned_once_when_due(steps: list[tuple[str, int, int | None]]) -> None:
    timers: Timers[int] = Timers()
    model: dict[int, int] = {}
    now = 0
    for step, number, due in steps:
        if step == "put":
            timers.put(number, due)
            model.pop(number, None)
            if due is not None:
                model[number] = due
            continue
        now = max(now, number)
        expected = {key for key, when in model.items() if when <= now}
        assert set(timers.pop_due(now)) == expected
        model = {key: when for key, when in model.items() if key not in expected}
        if model:
            assert timers.next_due is not None
            assert timers.next_due <= min(model.values())


def test_the_earliest_key_is_first_and_a_moved_time_counts_only_once() -> None:
    timers: Timers[str] = Timers()
    timers.put("late", 3)
    timers.put("early", 1)
    timers.put("moved", 2)
    timers.put("moved", 9)

    assert list(timers.pop_due(5)) == ["early", "late"]
    assert list(timers.pop_due(9)) == ["moved"]
