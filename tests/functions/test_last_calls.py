"""Test what a process remembers of its last calls."""

import pytest

from functions.last_calls import (
    MAX_AGE_SECONDS,
    LastCall,
    LastCalls,
    PartState,
    smallest_age,
    worst_state,
)


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_without_a_call_the_state_is_unknown(clock: _Clock) -> None:
    call = LastCall(clock)
    assert (call.state(), call.age_seconds()) == (PartState.UNKNOWN, None)


def test_the_last_call_decides(clock: _Clock) -> None:
    call = LastCall(clock)
    call.record(responded=False)
    assert call.state() is PartState.FAILING
    call.record(responded=True)
    clock.now += 12.9
    assert (call.state(), call.age_seconds()) == (PartState.OK, 12)


@pytest.mark.parametrize("responded", [True, False])
def test_an_old_observation_says_nothing_of_now(clock: _Clock, *, responded: bool) -> None:
    """Check that an instance without requests does not report one failure for ever."""
    call = LastCall(clock)
    call.record(responded=responded)
    clock.now += MAX_AGE_SECONDS
    assert call.state() is not PartState.UNKNOWN
    clock.now += 1
    assert call.state() is PartState.UNKNOWN
    assert call.age_seconds() == MAX_AGE_SECONDS + 1


@pytest.mark.parametrize(
    ("tables", "queue", "state"),
    [
        (True, None, PartState.OK),
        (None, True, PartState.OK),
        (True, False, PartState.FAILING),
        (False, True, PartState.FAILING),
        (None, None, PartState.UNKNOWN),
    ],
)
def test_storage_fails_if_tables_or_queue_fail(
    clock: _Clock, tables: bool | None, queue: bool | None, state: PartState
) -> None:
    seen = LastCalls(clock)
    for call, responded in ((seen.tables, tables), (seen.queue, queue)):
        if responded is not None:
            call.record(responded=responded)
            clock.now += 5
    assert worst_state(seen.parts()["storage"]) is state
    assert smallest_age(seen.parts()["storage"]) == (None if state is PartState.UNKNOWN else 5)
