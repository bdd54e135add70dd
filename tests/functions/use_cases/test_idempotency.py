"""The promise behind `Idempotency-Key`: the same key and body make one rollout."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError, InProgressError, StorageUnavailableError
from functions.use_cases.create import create
from functions.use_cases.idempotency import KEY_RESERVATION
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device


def patched(world: World) -> Any:
    """The world's store, for methods to be put into."""
    return world.stores


def test_the_same_key_and_body_give_the_first_rollout() -> None:
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


def test_a_key_whose_request_died_can_be_used_again_after_its_lease() -> None:
    world = World([device("a")])
    dying: Any = Fragile(world.stores, at=3, after=False)  # after the key was written
    with pytest.raises(CrashError):
        create(replace(world.services, stores=dying), world.request(), "build-1")
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    world.clock.now += KEY_RESERVATION
    assert world.create(key="build-1").is_new


def test_a_request_that_failed_before_it_stored_a_rollout_frees_its_key() -> None:
    world = World([device("a")])
    add = world.stores.targets.save_history

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("down")

    patched(world).targets.save_history = fail
    with pytest.raises(StorageUnavailableError):
        world.create(key="build-1")
    patched(world).targets.save_history = add
    assert world.create(key="build-1").is_new


def test_a_request_so_slow_that_its_key_was_taken_over_stores_no_rollout() -> None:
    only = device("a")
    world = World([only])
    add = world.stores.targets.save_history

    def slow(*arguments: Any) -> Any:
        patched(world).targets.save_history = add
        world.clock.now += KEY_RESERVATION
        assert world.create(key="build-1").is_new
        return add(*arguments)

    patched(world).targets.save_history = slow
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    assert len(world.stores.rollouts.list_rollouts(None, 10, None).items) == 1
    assert len(only.started) == 1
    assert not world.create(key="build-1").is_new
