"""A device that is deleted from the hub, or disabled in it, leaves its rollout."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.rollouts.device import attention, following, invoking, leaving
from functions.rollouts.device.leaving import CONFIRMATION_WAIT
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import DeviceOffline, DeviceUnknown
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy
from functions.rollouts.rollout import retry
from tests.functions.builders import at, make_moment, make_update, speaking_twin
from tests.functions.rollouts.device.under_way import (
    AWAY,
    STANDING_BY,
    follow,
    make_accepted,
    make_claimed,
    make_in_doubt,
    make_soaking,
)

SOAK = Strategy(soak=timedelta(seconds=100))
DISABLED = replace(STANDING_BY, enabled=False)


def make_waiting() -> DeviceUpdate:
    return invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceOffline())


def make_downloading() -> DeviceUpdate:
    return follow(make_moment(5), make_accepted(), speaking_twin("downloading", 4))


STATES: list[Callable[[], DeviceUpdate]] = [
    make_update,
    make_waiting,
    make_in_doubt,
    make_accepted,
    make_downloading,
    lambda: make_soaking(SOAK),
]


@pytest.mark.parametrize("make", STATES)
def test_a_device_that_two_reads_do_not_find_leaves_from_any_state(
    make: Callable[[], DeviceUpdate],
) -> None:
    update = make()
    missing = follow(make_moment(60, SOAK), update, None)
    assert (missing.state, missing.missing_since) == (update.state, at(60))
    again = follow(make_moment(64.9, SOAK), missing, None)
    assert again.state is update.state
    gone = follow(make_moment(65, SOAK), again, None)
    assert (gone.state, gone.skip_reason) == (DeviceState.SKIPPED, SkipReason.DEVICE_REMOVED)
    assert gone.ended_at == at(65)
    assert gone.error is None
    assert "not found at 2026-11-23T12:01:00Z and 2026-11-23T12:01:05Z" in (gone.explanation or "")


@pytest.mark.parametrize("make", STATES)
def test_a_disabled_device_leaves_from_any_state_at_the_first_read(
    make: Callable[[], DeviceUpdate],
) -> None:
    gone = follow(make_moment(60, SOAK), make(), DISABLED)
    assert (gone.state, gone.skip_reason) == (DeviceState.SKIPPED, SkipReason.DEVICE_DISABLED)
    assert gone.ended_at == at(60)


@pytest.mark.parametrize("make", STATES)
def test_the_second_read_of_a_missing_device_is_due_soon_and_must_be_fresh(
    make: Callable[[], DeviceUpdate],
) -> None:
    missing = follow(make_moment(60, SOAK), make(), None)
    later = make_moment(65, SOAK)
    due_at = attention.due_at(later, missing)
    is_claimed_again = missing.state is DeviceState.QUEUED and not missing.offline
    assert is_claimed_again or (due_at is not None and due_at <= at(65))
    assert attention.needs_twin(later, missing)
    assert attention.needs_fresh_twin(later, missing)


def make_followed() -> DeviceUpdate:
    """Make an update of a cancelled rollout whose earlier attempt may be at work."""
    return make_update(attempt=2, dispatched_at=at(0), observe_at=at(90), not_before=at(900))


@pytest.mark.parametrize(
    ("make", "not_before", "observe_at"),
    [
        (make_update, at(65), None),
        (make_waiting, at(65), None),
        (make_followed, at(900), at(65)),
        (make_in_doubt, at(30), at(65)),
        (make_accepted, None, at(65)),
        (make_downloading, None, at(65)),
        (lambda: make_soaking(SOAK), None, at(65)),
    ],
)
def test_a_read_that_misses_a_device_moves_only_the_time_of_its_next_read(
    make: Callable[[], DeviceUpdate], not_before: datetime | None, observe_at: datetime | None
) -> None:
    update = make()
    missing = follow(make_moment(60, SOAK), update, None)
    assert (missing.not_before, missing.observe_at) == (not_before, observe_at)
    assert missing == update._replace(
        missing_since=at(60),
        not_before=not_before,
        observe_at=observe_at,
        updated_at=at(60),
        explanation="The hub does not know the device; its twin is read again to confirm it.",
    )
    assert follow(make_moment(64.9, SOAK), missing, None).missing_since == at(60)


def test_a_device_is_gone_if_it_is_not_found_or_disabled() -> None:
    assert leaving.is_gone(None)
    assert leaving.is_gone(DISABLED)
    assert not leaving.is_gone(STANDING_BY)


@pytest.mark.parametrize("make", STATES)
def test_one_read_that_misses_a_device_changes_nothing_in_the_end(
    make: Callable[[], DeviceUpdate],
) -> None:
    update = make()
    missing = follow(make_moment(60, SOAK), update, None)
    found = follow(make_moment(61, SOAK), missing, STANDING_BY)
    assert found.missing_since is None
    assert (found.state, found.attempt) == (update.state, update.attempt)
    later = follow(make_moment(90, SOAK), found, None)
    assert later.state is update.state


def test_a_completed_device_stays_completed_when_it_is_disabled_before_it_was_observed() -> None:
    done = replace(speaking_twin("completed", 50, version=("2.4.0", 50)), enabled=False)
    assert follow(make_moment(60), make_accepted(), done).state is DeviceState.COMPLETED


def test_an_ended_device_stays_as_it_is() -> None:
    done = speaking_twin("completed", 50, version=("2.4.0", 50))
    completed = follow(make_moment(60), make_accepted(), done)
    assert follow(make_moment(70), completed, None) is completed
    assert follow(make_moment(70), completed, DISABLED) is completed


def test_a_retry_takes_a_device_that_left_as_if_it_had_never_been_missing() -> None:
    gone = follow(make_moment(60), make_accepted(), DISABLED)
    retried = retry.requeue(make_moment(90), frozenset({RetryState.SKIPPED}), gone)
    assert retried.state is DeviceState.QUEUED
    assert (retried.skip_reason, retried.missing_since) == (None, None)


# -- the hub responds to the method that it does not know the device ---------------------------


def test_the_hubs_word_that_it_does_not_know_a_device_is_confirmed_by_its_twin() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceUnknown())
    assert (update.state, update.in_doubt) == (DeviceState.DISPATCHING, True)
    due = make_moment(CONFIRMATION_WAIT.total_seconds())
    assert attention.is_due(due, update)
    assert attention.needs_fresh_twin(due, update)
    gone = follow(due, update, None)
    assert gone.skip_reason is SkipReason.DEVICE_REMOVED


def test_a_device_that_has_its_twin_is_sent_the_same_attempt_again() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceUnknown())
    found = follow(make_moment(30), update, STANDING_BY)
    assert found.missing_since is None
    assert (found.state, found.attempt, found.attempts_used) == (DeviceState.DISPATCHING, 1, 0)
    assert found.observe_at is None  # the same attempt is sent again


def test_a_device_that_the_method_reached_all_the_same_is_followed() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceUnknown())
    reached = following.observe(make_moment(6), update, speaking_twin("downloading", 2))
    assert reached.state is DeviceState.DOWNLOADING


# -- the hub responds that the device is not connected -----------------------------------------

SKIP = Strategy(offline=Offline(policy=OfflinePolicy.SKIP))


def test_one_response_that_a_connected_device_is_offline_does_not_skip_it() -> None:
    told = invoking.record_outcome(make_moment(0, SKIP), make_claimed(), 1, DeviceOffline())
    assert told.state is DeviceState.QUEUED
    back = follow(make_moment(10, SKIP), told, STANDING_BY)
    assert (back.state, back.offline, back.not_before) == (DeviceState.QUEUED, False, None)


def test_an_offline_device_is_skipped_once_the_hub_shows_it_disconnected() -> None:
    told = invoking.record_outcome(make_moment(0, SKIP), make_claimed(), 1, DeviceOffline())
    gone = follow(make_moment(10, SKIP), told, AWAY)
    assert (gone.state, gone.skip_reason) == (DeviceState.SKIPPED, SkipReason.OFFLINE)


def test_a_device_that_the_hub_twice_calls_offline_is_skipped() -> None:
    told = invoking.record_outcome(make_moment(0, SKIP), make_claimed(), 1, DeviceOffline())
    back = follow(make_moment(10, SKIP), told, STANDING_BY)
    again = invoking.claim(make_moment(11, SKIP), back, STANDING_BY)
    gone = invoking.record_outcome(make_moment(12, SKIP), again, again.attempt, DeviceOffline())
    assert (gone.state, gone.skip_reason) == (DeviceState.SKIPPED, SkipReason.OFFLINE)
