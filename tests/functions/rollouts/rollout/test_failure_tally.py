"""The failures by code always match the devices, however these move."""

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.failure_count import FailureCount, failure_code
from functions.rollouts.model.reason import Reason
from functions.rollouts.rollout.block_states import states_of
from functions.rollouts.rollout.failure_tally import FailureTally, count_failures
from tests.functions.builders import make_update

FAILED_OF_THREE = st.lists(st.none() | st.sampled_from(ErrorCode), min_size=3, max_size=3)


def make_block(codes: list[ErrorCode | None]) -> Block:
    """Make a block of devices that failed with these codes; None: completed, with a kept error."""
    return Block(0, tuple(map(make_device, range(len(codes)), codes)))


def make_device(number: int, code: ErrorCode | None) -> DeviceUpdate:
    state = DeviceState.COMPLETED if code is None else DeviceState.FAILED
    error = Reason(code=code or ErrorCode.REPORTED, message="because")
    return make_update(f"d-{number}", state=state, error=error)


def record(
    known: tuple[FailureCount, ...] | None, before: Block, after: Block
) -> tuple[FailureCount, ...] | None:
    tally = FailureTally(known)
    for old, new in zip(before.updates, after.updates, strict=True):
        tally.record(old, new)
    return tally.counts({0: after})


@given(st.lists(FAILED_OF_THREE, min_size=1, max_size=6))
def test_the_tally_is_that_of_a_count_of_all_devices(
    moments: list[list[ErrorCode | None]],
) -> None:
    known: tuple[FailureCount, ...] | None = ()
    before = make_block([None, None, None])
    for codes in moments:
        after = make_block(codes)
        known = record(known, before, after)
        assert known is not None
        counted = count_failures([states_of(after, 1)])
        assert [(item.code, item.count) for item in known] == [
            (item.code, item.count) for item in counted
        ]
        for item in known:
            assert item.example is not None
            assert failure_code(after.updates[int(item.example[2:])]) is item.code
        before = after


@given(st.lists(FAILED_OF_THREE, min_size=2, max_size=2))
def test_failures_stored_without_codes_are_not_made_up(
    moments: list[list[ErrorCode | None]],
) -> None:
    assert record(None, make_block(moments[0]), make_block(moments[1])) is None


def test_an_example_in_another_block_is_not_known() -> None:
    known = (FailureCount(ErrorCode.TIMED_OUT, 2, "d-0"),)
    after = record(known, make_block([ErrorCode.TIMED_OUT]), make_block([None]))
    assert after == (FailureCount(ErrorCode.TIMED_OUT, 1, None),)


def test_the_most_frequent_code_comes_first_and_keeps_its_first_example() -> None:
    codes = [ErrorCode.TIMED_OUT, ErrorCode.REPORTED, ErrorCode.REPORTED]
    counted = record((), make_block([None] * 3), make_block(list(codes)))
    assert counted == (
        FailureCount(ErrorCode.REPORTED, 2, "d-1"),
        FailureCount(ErrorCode.TIMED_OUT, 1, "d-0"),
    )


def test_a_code_keeps_its_first_example_and_a_new_code_gets_one() -> None:
    tally = FailureTally([FailureCount(ErrorCode.TIMED_OUT, 1, "first")])
    for name, code in (("b", ErrorCode.TIMED_OUT), ("c", ErrorCode.REPORTED)):
        begun = make_update(name, state=DeviceState.ACCEPTED)
        error = Reason(code=code, message="")
        tally.record(begun, begun._replace(state=DeviceState.FAILED, error=error))
    assert tally.counts({}) == (
        FailureCount(ErrorCode.TIMED_OUT, 2, "first"),
        FailureCount(ErrorCode.REPORTED, 1, "c"),
    )
