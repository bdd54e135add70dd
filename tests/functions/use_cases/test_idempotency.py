"""Test that the same `Idempotency-Key` and body create one rollout."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError, InProgressError, StorageUnavailableError
from functions.use_cases.create import create
from functions.use_cases.idempotency import KEY_RESERVATION
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device


def stores_of(world: World) -> Any:
    """Return the world's stores, untyped, so that a test can replace methods."""
    return world.stores


def test_the_same_key_and_body_return_the_first_rollout() -> None:
    only = device("a")
    world = World([only])
    first = world.create(key="build-1")
    again = world.create(key="build-1")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.rollout.id == first.rollout.id
    assert [update.device_id for update in again.updates] == ["a"]
    assert len(only.started) == 1


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    world = World([device("a"), device("b")])
    create(world.services, world.request("a"), "build-1")
    with pytest.raises(ConflictError):
        create(world.services, world.request("b"), "build-1")


def test_the_key_of_a_crashed_request_can_be_used_after_its_reservation() -> None:
    world = World([device("a")])
    dying: Any = Fragile(world.stores, at=3, after=False)  # after the key was written
    with pytest.raises(CrashError):
        create(replace(world.services, stores=dying), world.request(), "build-1")
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    world.clock.now += KEY_RESERVATION
    assert world.create(key="build-1").is_new


def test_a_request_that_fails_before_it_stores_a_rollout_releases_its_key() -> None:
    world = World([device("a")])
    add = world.stores.targets.save_history

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("down")

    stores_of(world).targets.save_history = fail
    with pytest.raises(StorageUnavailableError):
        world.create(key="build-1")
    stores_of(world).targets.save_history = add
    assert world.create(key="build-1").is_new


def test_a_slow_request_whose_key_another_has_reserved_stores_no_rollout() -> None:
    only = device("a")
    world = World([only])
    add = world.stores.targets.save_history

    def slow(*arguments: Any) -> Any:
        stores_of(world).targets.save_history = add
        world.clock.now += KEY_RESERVATION
        assert world.create(key="build-1").is_new
        return add(*arguments)

    stores_of(world).targets.save_history = slow
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    assert len(world.stores.rollouts.list_rollouts(None, 10, None).items) == 1
    assert len(only.started) == 1
    assert not world.create(key="build-1").is_new
