"""The states of a block's devices, as they are and as they were."""

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.reason import Reason
from functions.rollouts.rollout.block_states import states_of
from tests.functions.builders import at, make_update

COMPLETED, FAILED, SKIPPED = DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.SKIPPED
TIMED_OUT = Reason(code="timedOut", message="")


def make_ended(name: str, state: DeviceState, seconds: float, **values: object) -> DeviceUpdate:
    """Make an update that was sent at 10 s and ended after `seconds`."""
    history = (
        HistoryEntry(DeviceState.QUEUED, 1, at(0), ""),
        HistoryEntry(DeviceState.DISPATCHING, 1, at(10), ""),
        HistoryEntry(state, 1, at(seconds), ""),
    )
    known = {"state": state, "dispatched_at": at(10), "ended_at": at(seconds), "history": history}
    return make_update(name, **(known | values))


BLOCK = Block(
    4,
    (
        make_ended("a", COMPLETED, 100, previous_version="1.0", stratum=1),
        make_ended("b", FAILED, 200, error=TIMED_OUT),
        make_ended("c", FAILED, 200, error=TIMED_OUT),
        make_ended("d", SKIPPED, 50, skip_reason=SkipReason.OFFLINE, dispatched_at=None),
        make_update("e"),
    ),
)


def test_the_states_of_now_have_the_reasons_of_their_ends() -> None:
    found = states_of(BLOCK, 7)
    assert (found.number, found.revision, found.letters) == (4, 7, "cTT5q")
    assert found.versions == ("1.0", None, None, None, None)
    assert found.strata == (1, None, None, None, None)
    assert found.started == {at(10): 3}
    assert found.ended == ((at(100), True), (at(200), False), (at(200), False))
    assert found.examples == {"T": "b"}


def test_the_states_of_an_earlier_time_are_those_of_the_history_until_then() -> None:
    begun = states_of(BLOCK, 7, at(99))
    assert (begun.letters, begun.started, begun.ended) == ("ddd5q", {at(10): 3}, ())
    assert not begun.examples
    assert states_of(BLOCK, 7, at(100)).ended == ((at(100), True),)
    assert states_of(BLOCK, 7, at(100)).letters == "cdd5q"
    assert states_of(BLOCK, 7, at(200)).letters == "cTT5q"
    assert states_of(BLOCK, 7, at(9)).started == {}
    assert states_of(BLOCK, 7, at(10)).started == {at(10): 3}
    assert states_of(BLOCK, 7, at(-1)).letters == "?????"
    retried = make_ended("a", FAILED, 100, error=TIMED_OUT)
    later = HistoryEntry(DeviceState.QUEUED, 2, at(300), "")
    again = retried._replace(history=(*retried.history, later), state=DeviceState.QUEUED)
    assert states_of(Block(0, (again,)), 7, at(150)).letters == "E"  # its code is not kept
