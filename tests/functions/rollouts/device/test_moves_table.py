"""In any sequence of events, an update makes only allowed moves, and ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollouts.device import attention, cancelling, following, invoking, readiness
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import MOVES, DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Retry, RetryOn, Strategy
from functions.rollouts.rollout import retry
from tests.functions.builders import (
    ROLLOUT_ID,
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    twin_of,
)
from tests.functions.rollouts.device.under_way import make_accepted, make_soaking

OUTCOMES: list[MethodOutcome] = [
    Responded(MethodResponse(status=200)),
    Responded(MethodResponse(status=400)),
    Responded(MethodResponse(status=409)),
    DeviceOffline(),
    NotDelivered("429"),
    Lost("504"),
    HubRefused("unknown"),
]
STATUSES = ["standBy", "downloading", "applying", "completed", "failed", "rebooting"]

strategies = st.builds(
    Strategy,
    soak=st.sampled_from([timedelta(0), timedelta(seconds=50)]),
    timeout=st.just(timedelta(seconds=60)),
    max_in_flight=st.sampled_from([None, 1]),
    retry=st.builds(Retry, attempts=st.integers(1, 3), on=st.frozensets(st.sampled_from(RetryOn))),
    offline=st.builds(
        Offline, policy=st.sampled_from(OfflinePolicy), deadline=st.just(timedelta(seconds=200))
    ),
)
rollouts = st.builds(
    lambda strategy, status: make_rollout(strategy=strategy, status=status),
    strategies,
    st.sampled_from([RolloutStatus.RUNNING, RolloutStatus.PAUSED, RolloutStatus.CANCELLED]),
)


class Occurrence(NamedTuple):
    """Something that happens to an update, after a pause."""

    pause: float  # seconds
    what: str  # the operation
    twin: DeviceTwin | None  # None: the hub does not know the device
    outcome: MethodOutcome
    attempts_ago: int  # how old the attempt of the outcome is


@st.composite
def twins(draw: st.DrawFn, latest: float = 400) -> DeviceTwin:
    """Draw a twin of some device, with times of a hub whose clock may differ."""
    when = st.floats(-100, latest)
    status = draw(st.sampled_from(STATUSES))
    reported: dict[str, tuple[Any, float]] = {"firmwareStatus": (status, draw(when))}
    if draw(st.booleans()):
        about = {
            "rolloutId": draw(st.sampled_from([ROLLOUT_ID, "another"])),
            "attempt": draw(st.integers(1, 4)),
            "errorCode": draw(st.sampled_from(["noSpace", "reverted"])),
        }
        reported |= {"firmwareUpdate": (about, draw(when))}
    if draw(st.booleans()):
        reported |= {"firmwareVersion": (draw(st.sampled_from(["1.0.0", "2.4.0"])), draw(when))}
    for name in ("downloadComplete", "startedApplyingImage", "lastFirmwareUpdate"):
        if draw(st.booleans()):
            reported |= {name: (str(draw(st.integers(0, 2))), draw(when))}
    return twin_of(reported, connected=draw(st.booleans()))


occurrences = st.builds(
    Occurrence,
    pause=st.floats(0, 120),
    what=st.sampled_from(["claim", "respond", "observe", "decide", "wait", "cancel", "retry"]),
    twin=st.none() | twins(),
    outcome=st.sampled_from(OUTCOMES),
    attempts_ago=st.sampled_from([0, 0, 0, 1]),
)
NO_TWIN = make_twin()


def apply(moment: Moment, update: DeviceUpdate, item: Occurrence) -> DeviceUpdate:
    """Apply one occurrence to the update, if it is possible."""
    twin = item.twin or NO_TWIN
    connected = item.twin.connected if item.twin else None
    operations: dict[str, Callable[[], DeviceUpdate]] = {
        "claim": lambda: invoking.claim(moment, update, twin),
        "respond": lambda: invoking.record_outcome(
            moment, update, update.attempt - item.attempts_ago, item.outcome
        ),
        "observe": lambda: following.observe(moment, update, twin),
        "decide": lambda: following.decide(moment, update, item.twin, connected=connected),
        "wait": lambda: invoking.wait_for_turn(moment, update, "busy"),
        "cancel": lambda: cancelling.cancel_queued(moment, update),
        "retry": lambda: retry.requeue(moment, frozenset(RetryState), update),
    }
    queued = update.state is DeviceState.QUEUED
    allowed = {"claim": readiness.may_send(moment, update), "wait": queued}
    return operations[item.what]() if allowed.get(item.what, True) else update


def check_moves(before: DeviceUpdate, after: DeviceUpdate) -> None:
    """Check that the new history entries are allowed moves and lead to the new state."""
    state, attempt = before.state, before.attempt
    for line in after.history[len(before.history) :]:
        assert line.state in MOVES[state]
        back = line.state is DeviceState.QUEUED
        assert line.attempt == attempt + (1 if back else 0)
        assert back or line.state.rank > state.rank
        state, attempt = line.state, line.attempt
    assert (state, attempt) == (after.state, after.attempt)


def check_record(update: DeviceUpdate, moment: Moment) -> None:
    """Check the invariants of every update."""
    assert (update.error is not None) == (update.state is DeviceState.FAILED)
    assert (update.ended_at is not None) == update.state.ended
    assert not update.in_doubt or update.state is DeviceState.DISPATCHING
    assert update.explanation or update.attempt == 1
    times = [line.at for line in update.history]
    assert times == sorted(times)
    if update.state.in_flight or update.state is DeviceState.SOAKING:
        assert attention.due_at(moment, update) is not None


FIRST_UPDATES = [make_update(), make_accepted(), make_soaking(Strategy(soak=timedelta(seconds=50)))]


@given(rollouts, st.sampled_from(FIRST_UPDATES), st.lists(occurrences, max_size=9))
@settings(max_examples=250)
def test_no_sequence_of_operations_moves_a_device_against_the_table(
    rollout: Rollout, update: DeviceUpdate, drawn: list[Occurrence]
) -> None:
    seconds = 46.0
    for item in drawn:
        seconds += item.pause
        moment = make_moment(seconds, rollout=rollout)
        moved = apply(moment, update, item)
        check_moves(update, moved)
        check_record(moved, moment)
        update = moved


@given(
    strategies,
    st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.booleans(),
)
def test_every_update_ends_with_any_outcomes_of_the_hub(
    strategy: Strategy,
    outcomes: list[MethodOutcome],
    connected: list[bool],
    speaks: bool,
) -> None:
    """Repeat outcomes and connections in a cycle; the device itself never reports."""
    told: dict[str, tuple[Any, float]] = {"firmwareVersion": ("1.0.0", -50.0)} if speaks else {}
    update, sent = make_update(), 0
    for number in range(300):
        moment = make_moment(number * 10, strategy)
        there = connected[number % len(connected)]
        twin = twin_of({"firmwareStatus": ("standBy", -60), **told}, connected=there)
        due = attention.due_at(moment, update)
        if due is not None and due <= moment.now:
            update = following.decide(moment, update, twin, connected=there)
        if readiness.may_send(moment, update) and readiness.is_ready(moment, update):
            update = invoking.claim(moment, update, twin)
            outcome = outcomes[sent % len(outcomes)]
            update = invoking.record_outcome(moment, update, update.attempt, outcome)
            sent += 1
    assert update.state.ended
    assert update.ended_at is not None
    assert update.ended_at < at(3000)


def test_the_table_has_every_state_and_completed_alone_has_no_way_back() -> None:
    assert set(MOVES) == set(DeviceState)
    for state in DeviceState:
        assert state not in MOVES[state]
        if state.ended:
            late = {DeviceState.COMPLETED} if state is DeviceState.FAILED else set()
            again = {DeviceState.QUEUED} if state is not DeviceState.COMPLETED else set()
            assert MOVES[state] == again | late


def test_within_an_attempt_the_table_only_moves_forward() -> None:
    for state, targets in MOVES.items():
        for target in targets - {DeviceState.QUEUED}:
            assert target.rank > state.rank
