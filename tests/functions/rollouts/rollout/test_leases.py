"""Leases of repeats, and what becomes of leases that expire."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import FreezeMatches, Lease
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import starts
from tests.functions.builders import NOON, at, make_rollout, make_wave

LEASE = starts.LEASE_DURATION.total_seconds()


def lease(number: int, *indexes: int, **values: Any) -> Lease:
    known: dict[str, Any] = {"block": 0, "devices": DeviceSet.of(indexes), "until": at(LEASE)}
    return Lease(number=number, **(known | values))


def test_new_leases_are_numbered_on_and_expire_after_their_duration() -> None:
    rollout = make_rollout(make_wave(150), lease_count=7)
    rollout, made = starts.lease_batches(rollout, NOON, 150)
    assert [(item.number, item.block, item.until) for item in made] == [
        (7, 0, at(LEASE)),
        (8, 1, at(LEASE)),
    ]
    assert rollout.dispatch.lease_count == 9


def test_repeats_are_leased_first_as_repeats_and_beyond_the_limit_of_devices_in_flight() -> None:
    rollout = make_rollout(
        make_wave(5, counts=Counts(queued=3, updating=2), leased=2),
        strategy=Strategy(max_in_flight=3),
        repeats={0: DeviceSet.of([0, 1])},
    )
    changed, made = starts.lease_batches(rollout, NOON, 9)
    assert made == (lease(0, 0, 1, repeat=True), lease(1, 2))
    assert not changed.dispatch.repeats
    changed, made = starts.lease_batches(rollout, NOON, 1)
    assert made == (lease(0, 0, repeat=True),)
    assert changed.dispatch.repeats == {0: DeviceSet.of([1])}
    assert starts.lease_batches(rollout, NOON, 0) == (rollout, ())
    paused = replace(rollout, status=RolloutStatus.PAUSED)
    assert starts.lease_batches(paused, NOON, 9) == (paused, ())


def test_an_expired_lease_is_leased_again_as_what_it_was() -> None:
    rollout = make_rollout(
        make_wave(5, leased=5),
        leases=(lease(1, 0), lease(2, 1, repeat=True), lease(3, 2, until=at(LEASE + 1))),
        lease_count=4,
    )
    changed, made = starts.lease_batches(rollout, at(LEASE), 9)
    later = at(2 * LEASE)
    assert made == (lease(4, 1, repeat=True, until=later), lease(5, 0, until=later))
    assert changed.dispatch.leases == (lease(3, 2, until=at(LEASE + 1)), *made)


@pytest.mark.parametrize(("budget", "is_checked"), [(3, False), (4, True), (9, True)])
def test_devices_that_match_a_freeze_are_checked_again_if_the_budget_is_not_used_up(
    budget: int, *, is_checked: bool
) -> None:
    frozen = Freeze(revision=1, reason="x", by="ada", since=NOON, condition="tags.a = 1")
    match = FreezeMatches(block=0, devices=DeviceSet.of([9]), revision=1, until=NOON)
    rollout = make_rollout(make_wave(3), freeze=frozen, freeze_matches=(match,))
    changed, made = starts.lease_batches(rollout, NOON, budget)
    assert [item.devices for item in made] == [DeviceSet.of([0, 1, 2])]
    assert changed.dispatch.freeze_matches == (() if is_checked else (match,))
