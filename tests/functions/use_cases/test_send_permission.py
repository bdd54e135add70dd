"""Test when the methods of a claimed batch may no longer be sent, and how often that is read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from functions.errors import StorageUnavailableError
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, Window
from functions.use_cases.send_permission import SendPermission
from tests.functions.builders import NOON, make_rollout
from tests.functions.use_cases.world import World

FREEZE = Freeze(revision=1, reason="holidays", by="ada", since=NOON)
ROLLOUT = make_rollout()


@pytest.fixture
def world() -> World:
    world = World([], still=True)
    world.stores.rollouts.add(ROLLOUT)
    return world


def change(world: World, **values: Any) -> None:
    snapshot = world.stores.rollouts.get(ROLLOUT.id)
    assert snapshot is not None
    world.stores.rollouts.save(snapshot, replace(snapshot.rollout, **values))


def test_the_status_is_read_once_in_a_second(world: World) -> None:
    store: Any = world.stores.rollouts
    read, reads = store.get_status, []

    def counted(rollout_id: str) -> Any:
        reads.append(rollout_id)
        return read(rollout_id)

    store.get_status = counted
    permission, seen = SendPermission(world.services, ROLLOUT), []
    for seconds in (0, 0.99, 0.01, 0.99, 0.01):
        world.pass_time(seconds=seconds)
        assert permission()
        seen.append(len(reads))
    assert seen == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("values", "may_send"),
    [
        ({}, True),
        ({"status": RolloutStatus.PAUSED}, False),
        ({"later": LaterRollouts(ids=("later",))}, False),
        ({"freeze": FREEZE}, False),
        ({"freeze": replace(FREEZE, ended_at=NOON)}, True),
    ],
)
def test_a_batch_stops_after_a_change_of_its_rollout(
    world: World, values: dict[str, Any], may_send: bool
) -> None:
    permission = SendPermission(world.services, ROLLOUT)
    change(world, **values)
    assert permission()
    world.pass_time(seconds=1)
    assert permission() is may_send
    world.pass_time(seconds=1)
    assert permission() is may_send


@pytest.mark.parametrize("known", [{"later": LaterRollouts(ids=("later",))}, {"freeze": FREEZE}])
def test_what_the_claim_knew_does_not_stop_its_batch(world: World, known: dict[str, Any]) -> None:
    permission = SendPermission(world.services, replace(ROLLOUT, **known))
    change(world, **known)
    world.pass_time(seconds=1)
    assert permission()


def test_a_batch_stops_if_its_rollout_cannot_be_read(world: World) -> None:
    def fail(_: str) -> Any:
        raise StorageUnavailableError("gone")

    results: list[Callable[[str], Any]] = [fail, lambda _: None]
    for result in results:
        store: Any = world.stores.rollouts
        store.get_status = result
        permission = SendPermission(world.services, ROLLOUT)
        world.pass_time(seconds=1)
        assert not permission()
    assert not SendPermission(world.services, ROLLOUT, is_running=False)()


def _within(rollout: Rollout, **values: Any) -> Rollout:
    return replace(rollout, definition=replace(rollout.definition, **values))


def test_a_batch_stops_when_the_window_closes_or_the_link_expires(world: World) -> None:
    window = Window(start=time(11), end=time(12, 0, 0), timezone="UTC")
    link = "https://packages.example/fw.bin?se=2026-11-23T12%3A00%3A01Z&sig=a"
    firmware = replace(ROLLOUT.firmware, package_uri=link)
    for rollout in (
        _within(ROLLOUT, strategy=Strategy(window=window)),
        _within(ROLLOUT, firmware=firmware),
    ):
        world.clock.now = NOON - timedelta(milliseconds=1)
        permission = SendPermission(world.services, rollout)
        assert permission()
        world.pass_time(seconds=1.001)
        assert not permission()
