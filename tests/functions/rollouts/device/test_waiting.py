"""A queued device that was found offline waits, until it may be invoked again."""

from typing import Any

import pytest

from functions.rollouts.device import following, readiness
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import HUB, Outage
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy
from tests.functions.builders import at, make_moment, make_rollout, make_update

SKIP = Strategy(offline=Offline(policy=OfflinePolicy.SKIP))
BACK = "The device is connected again; it starts as soon as the rollout allows."


def waiting(delays: int = 3) -> DeviceUpdate:
    """Make an update that waits for its device until 100 s after noon."""
    return make_update(
        attempt=2,
        delays=delays,
        waiting_since=at(0),
        not_before=at(100),
        offline=True,
        explanation="Offline since noon.",
    )


def decide(update: DeviceUpdate, seconds: float, *, connected: bool | None) -> DeviceUpdate:
    return following.decide(make_moment(seconds), update, None, connected=connected)


def has_returned(update: DeviceUpdate, seconds: float) -> bool:
    is_ready = readiness.is_ready(make_moment(seconds), update)
    assert is_ready == (update.explanation == BACK)
    assert not is_ready or update.updated_at == at(seconds)
    return is_ready


# -- invoked as soon as it is connected, or only after its wait --------------------------------


def test_a_connected_device_that_does_not_listen_is_invoked_only_after_its_wait() -> None:
    assert decide(waiting(), 99, connected=True) == waiting()
    assert has_returned(decide(waiting(), 100, connected=True), 100)


def test_after_its_first_wait_has_begun_a_device_is_invoked_as_soon_as_it_is_connected() -> None:
    assert has_returned(decide(waiting(delays=1), 1, connected=True), 1)


@pytest.mark.parametrize("seconds", [10, 100])
def test_a_device_that_was_seen_offline_is_invoked_as_soon_as_it_is_connected(
    seconds: float,
) -> None:
    seen = decide(waiting(), seconds, connected=False)
    assert not has_returned(seen, seconds)
    assert has_returned(decide(seen, seconds + 1, connected=True), seconds + 1)


@pytest.mark.parametrize("seconds", [10, 100])
def test_a_device_that_was_not_read_was_not_seen_offline(seconds: float) -> None:
    later = decide(waiting(), seconds, connected=None)
    assert decide(later, seconds + 1, connected=True) is later


def test_a_second_read_of_an_offline_device_changes_nothing() -> None:
    seen = decide(waiting(), 10, connected=False)
    assert decide(seen, 20, connected=False) is seen


def test_a_device_that_waits_for_its_next_attempt_is_not_taken_for_offline() -> None:
    """Test a device that responded that it is busy."""
    busy = waiting()._replace(offline=False)
    for connected in (True, False, None):
        assert decide(busy, 10, connected=connected) is busy
        assert decide(busy, 100, connected=connected) is busy


def test_a_longer_wait_keeps_the_reason_and_grows() -> None:
    longer = decide(waiting(), 100, connected=False)
    assert (longer.delays, longer.not_before) == (4, at(100 + 8 * 30))
    assert longer.updated_at == at(100)
    assert longer.explanation == "Offline since noon."
    assert longer.history == waiting().history


# -- devices for which the strategy does not wait ----------------------------------------------


def see_offline(outage: Outage | None = None, **values: Any) -> DeviceUpdate:
    """Observe 50 s after noon that a device is offline, if the strategy does not wait for it."""
    rollout = make_rollout(strategy=SKIP, outages=(outage,) if outage else ())
    update = waiting()._replace(**{"waiting_since": None, **values})
    return following.decide(make_moment(50, rollout=rollout), update, None, connected=False)


def make_outage(*, until: float | None) -> Outage:
    ended_at = None if until is None else at(until)
    return Outage(code=HUB, message="The hub fails.", since=at(10), until=ended_at)


def test_a_device_that_is_seen_offline_is_left_out() -> None:
    update = see_offline()
    assert (update.state, update.skip_reason) == (DeviceState.SKIPPED, SkipReason.OFFLINE)


@pytest.mark.parametrize("until", [20, None])
def test_a_device_is_not_left_out_in_an_outage_or_soon_after(until: float | None) -> None:
    assert see_offline(make_outage(until=until)).state is DeviceState.QUEUED


@pytest.mark.parametrize("name", ["dispatched_at", "waiting_since", "queued_at"])
def test_an_outage_that_ended_before_the_device_was_invoked_keeps_it_from_nothing(
    name: str,
) -> None:
    assert see_offline(make_outage(until=20), **{name: at(20)}).state is DeviceState.SKIPPED
    assert see_offline(make_outage(until=20), **{name: at(19)}).state is DeviceState.QUEUED
