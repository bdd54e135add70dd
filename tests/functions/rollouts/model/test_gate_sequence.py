"""The sequence that the gate judges: prefixes in the order of the starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.gate_sequence import NO_SEQUENCE, GateSequence, Prefix


def begin(devices: int) -> GateSequence:
    sequence = NO_SEQUENCE
    for _ in range(devices):
        sequence = sequence.start()
    return sequence


def prefixes(sequence: GateSequence) -> list[tuple[int, int]]:
    return [tuple(prefix) for prefix in sequence.prefixes()]  # type: ignore[misc]


def test_a_sequence_without_a_failure_has_no_prefix() -> None:
    assert prefixes(begin(5)) == []


def test_each_failure_ends_a_prefix_whatever_order_they_come_in() -> None:
    assert prefixes(begin(9).fail(7).fail(2).fail(4)) == [(1, 2), (2, 4), (3, 7)]


def test_a_device_that_did_not_start_after_all_leaves_every_prefix_behind_it() -> None:
    assert prefixes(begin(9).fail(3).fail(8).release(5)) == [(1, 3), (2, 7)]
    assert prefixes(begin(9).fail(3).release(4).release(2)) == [(1, 2)]


def test_a_failure_that_is_withdrawn_leaves_its_device_as_healthy() -> None:
    assert prefixes(begin(9).fail(3).fail(8).withdraw(3)) == [(1, 8)]


def test_a_device_that_is_tried_again_keeps_its_rank() -> None:
    again = begin(9).fail(3).fail(8).try_again(3)
    assert again.in_flight == 8
    assert prefixes(again.fail(3)) == [(1, 3), (2, 8)]


def test_a_new_sequence_begins_with_the_devices_in_flight() -> None:
    before = begin(9).end().end().fail(3).fail(4)  # five of nine in flight
    after = before.restart()
    assert prefixes(after) == []
    assert prefixes(after.fail(8)) == [(1, 5)]
    assert prefixes(after.fail(8).fail(6)) == [(2, 5)]
    assert prefixes(after.start().start().fail(11).fail(8)) == [(1, 5), (2, 7)]


def test_a_device_in_flight_at_the_beginning_may_still_turn_out_not_to_have_started() -> None:
    after = begin(5).restart().release(2)
    assert prefixes(after.start().fail(6)) == [(1, 5)]


def test_releases_before_a_new_sequence_are_not_subtracted_from_it() -> None:
    after = begin(5).release(2).restart()
    assert prefixes(after.start().fail(6)) == [(1, 5)]


def test_an_acknowledged_failure_that_is_tried_again_joins_the_new_sequence() -> None:
    after = begin(5).fail(1).fail(2).restart().try_again(1)
    assert prefixes(after.fail(1)) == [(1, 4)]


@pytest.mark.parametrize("rank", [1, 4, 5])
def test_each_device_from_before_a_new_sequence_joins_it_once(rank: int) -> None:
    acknowledged = begin(5).fail(rank).restart().try_again(rank)
    assert (acknowledged.carried, acknowledged.in_flight) == (5, 5)
    counted_already = begin(5).restart().fail(rank).try_again(rank)
    assert (counted_already.carried, counted_already.in_flight) == (5, 5)


def test_a_device_that_started_in_a_new_sequence_does_not_join_it_again() -> None:
    again = begin(5).restart().start().fail(6).try_again(6)
    assert (again.carried, again.in_flight, again.devices) == (5, 6, 6)


def test_a_failure_before_any_further_start_is_acknowledged_too() -> None:
    after = begin(5).restart().fail(2).restart()
    assert (prefixes(after), after.carried, after.devices) == ([], 4, 4)


def test_an_acknowledged_failure_that_completes_late_changes_nothing() -> None:
    after = begin(5).fail(1).restart()
    assert after.withdraw(1) == after


def test_failures_that_came_after_a_sequence_was_shown_count_in_the_new_one() -> None:
    shown = begin(5).fail(1).fail(2)
    later = shown.start().fail(6).fail(3)
    after = later.restart(shown.mark())
    assert (after.first, after.carried) == (5, 3)
    assert prefixes(after) == [(1, 3), (2, 4)]


def test_what_was_shown_before_a_retry_acknowledges_nothing_more() -> None:
    shown = begin(5).fail(1).mark()
    retried = begin(8).fail(1).restart().fail(7)
    assert retried.restart(shown) == retried


type Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "end", "fail", "release", "late"]), st.integers(0, 99)),
    max_size=60,
)


@given(STEPS)
def test_prefixes_are_those_of_a_plain_list_of_devices(steps: list[Step]) -> None:
    sequence, devices = NO_SEQUENCE, dict[int, str]()
    for step, choice in steps:
        flying = [rank for rank, state in devices.items() if state == "in flight"]
        failed = [rank for rank, state in devices.items() if state == "failed"]
        if step == "start":
            sequence = sequence.start()
            devices[sequence.started] = "in flight"
        elif step == "late" and failed:
            rank = failed[choice % len(failed)]
            sequence, devices[rank] = sequence.withdraw(rank), "healthy"
        elif step in {"end", "fail", "release"} and flying:
            rank = flying[choice % len(flying)]
            if step == "end":
                sequence, devices[rank] = sequence.end(), "healthy"
            elif step == "fail":
                sequence, devices[rank] = sequence.fail(rank), "failed"
            else:
                sequence = sequence.release(rank)
                del devices[rank]
    states = list(devices.values())
    expected = [
        Prefix(states[: position + 1].count("failed"), position + 1)
        for position, state in enumerate(states)
        if state == "failed"
    ]
    assert list(sequence.prefixes()) == expected
    assert sequence.in_flight == states.count("in flight")
    assert sequence.devices == len(states)


def test_a_new_sequence_keeps_the_releases_of_devices_that_started_behind_it() -> None:
    shown = begin(5)
    later = begin(9).release(3).release(7)
    after = later.restart(shown.mark())
    assert later.release(6).release(9).restart(shown.mark()).devices == 5 + 4 - 3
    assert prefixes(after.fail(9)) == [(1, 8)]  # five in flight, and three of the four after them
