"""What a rollout records of a freeze, and how long its devices were frozen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.rollouts.model.freeze import Freeze
from functions.rollouts.rollout import freezing
from tests.functions.builders import NOON, at, make_moment, make_rollout, make_update

FIRST = Freeze(revision=1, reason="Holiday.", by="ada", since=NOON)
SECOND = replace(FIRST, revision=2, by="bob")
REMOVED = replace(FIRST, revision=2, ended_at=at(30), ended_by="bob", ended_reason="Over.")


def test_a_freeze_in_force_is_recorded_with_who_set_it() -> None:
    for known in (None, FIRST):
        found = freezing.learn(make_rollout(freeze=known), SECOND, at(60))
        assert found.freeze == SECOND
        event = found.audit.events[-1]
        assert (event.at, event.action, event.by) == (at(60), "frozen", "bob")


@pytest.mark.parametrize("known", [FIRST, SECOND])
def test_a_freeze_that_is_known_or_older_changes_nothing(known: Freeze) -> None:
    rollout = make_rollout(freeze=known)
    assert freezing.learn(rollout, FIRST, at(60)) is rollout
    assert freezing.learn(rollout, None, at(60)) is rollout


def test_a_rollout_that_is_over_learns_of_no_freeze() -> None:
    rollout = make_rollout(ended_at=at(5))
    assert freezing.learn(rollout, FIRST, at(60)) is rollout


@pytest.mark.parametrize(
    ("removed", "by", "message"),
    [
        (REMOVED, "bob", "The freeze of ada was removed by bob: Over."),
        (replace(REMOVED, ended_reason=None), "bob", "The freeze of ada was removed by bob."),
        (
            replace(REMOVED, ended_by=None, ended_reason=None),
            "rollout",
            "The freeze of ada was removed by rollout.",
        ),
    ],
)
def test_a_freeze_that_was_removed_is_recorded_with_who_removed_it(
    removed: Freeze, by: str, message: str
) -> None:
    found = freezing.learn(make_rollout(freeze=FIRST), removed, at(60))
    assert found.freeze == removed
    event = found.audit.events[-1]
    assert (event.at, event.action, event.by) == (at(60), "unfrozen", by)
    assert event.message == message


def test_a_freeze_that_was_over_before_the_rollout_knew_it_is_not_recorded() -> None:
    ended = replace(FIRST, ended_at=at(1))
    for known in (None, ended):
        rollout = make_rollout(freeze=known)
        assert freezing.learn(rollout, REMOVED, at(60)) is rollout


def test_a_freeze_ends_by_itself_at_its_time() -> None:
    rollout = make_rollout(freeze=replace(FIRST, until=at(60)))
    assert freezing.learn(rollout, None, at(59)) is rollout
    found = freezing.learn(rollout, None, at(61))
    assert found.freeze == replace(FIRST, until=at(60), ended_at=at(60))
    event = found.audit.events[-1]
    assert (event.at, event.action) == (at(61), "unfrozen")
    assert event.message == "The freeze of ada ended at 2026-11-23T12:01:00Z, as set."
    assert freezing.learn(found, None, at(62)) is found


def test_only_a_freeze_of_all_devices_keeps_the_rollout_from_starting() -> None:
    reason = freezing.obstacle(make_rollout(freeze=FIRST), at(60))
    assert reason is not None
    assert reason.code == "frozen"
    some = replace(FIRST, condition="tags.a = 1")
    assert freezing.obstacle(make_rollout(freeze=some), at(60)) is None
    assert freezing.obstacle(make_rollout(freeze=replace(FIRST, until=at(60))), at(60)) is None
    assert freezing.obstacle(make_rollout(), at(60)) is None


def test_time_in_which_a_device_is_frozen_does_not_count_as_its_wait() -> None:
    moment, later = make_moment(60), make_moment(100)
    update = make_update(waiting_from=timedelta(seconds=20))
    frozen = freezing.freeze_update(moment, update)
    assert (frozen.frozen_from, frozen.updated_at) == (moment.startable, at(60))
    assert freezing.freeze_update(later, frozen) is frozen
    thawed = freezing.thaw_update(later, frozen)
    passed = later.startable - moment.startable
    assert passed > timedelta(0)
    assert (thawed.frozen_from, thawed.waiting_from) == (None, timedelta(seconds=20) + passed)
    assert freezing.thaw_update(later, update) is update
    without_wait = freezing.freeze_update(moment, make_update())
    assert freezing.thaw_update(later, without_wait).waiting_from is None


def test_a_frozen_device_tells_the_freeze_while_it_is_in_force() -> None:
    some = replace(FIRST, condition="tags.a = 1", until=at(60))
    update = make_update(frozen_from=timedelta(0))
    assert "Holiday" in freezing.explain_frozen(make_rollout(freeze=some), update, at(59))
    assert not freezing.explain_frozen(make_rollout(freeze=some), update, at(60))
    assert not freezing.explain_frozen(make_rollout(freeze=some), make_update(), at(59))
    assert not freezing.explain_frozen(make_rollout(), update, at(59))
