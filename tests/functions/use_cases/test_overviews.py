"""Test what is read of a rollout besides its devices: its device ids and its events."""

from dataclasses import replace

import pytest

from functions.errors import InvalidError, UnknownError
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.use_cases import read
from functions.use_cases.create import create
from functions.use_cases.read import WantedUpdates
from tests.functions.builders import make_rollout, make_wave
from tests.functions.use_cases.world import World, devices


@pytest.mark.parametrize(
    ("count", "condition", "is_shown"),
    [(1, None, True), (100, None, True), (101, None, False), (3, "tags.site = 'rome'", False)],
)
def test_a_rollout_shows_the_ids_of_a_list_of_up_to_100_devices(
    count: int, condition: str | None, is_shown: bool
) -> None:
    world = World(devices(count))
    request = world.request()
    if condition is not None:
        request = replace(request, device_ids=(), condition=condition)
    rollout_id = create(world.services, request, None).rollout.id
    shown = read.get_overview(world.stores.rollouts, rollout_id).device_ids
    assert (shown is not None and set(shown) == set(world.hub.devices)) is is_shown
    assert (shown is None) is not is_shown


def test_a_list_that_is_being_prepared_shows_no_ids() -> None:
    world = World(devices(1_001))
    rollout_id = create(world.services, world.request(), None).rollout.id
    assert read.get_overview(world.stores.rollouts, rollout_id).device_ids is None


def test_events_are_paged() -> None:
    world = World(devices(2))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    store = world.stores.rollouts
    whole = read.list_events(store, rollout_id, 100, None)
    found: list[Event] = []
    cursor: str | None = None
    for _ in whole.items:
        page = read.list_events(store, rollout_id, 1, cursor)
        found += page.items
        cursor = page.cursor
    assert found == list(whole.items)
    assert cursor is whole.cursor is None


@pytest.mark.parametrize("state", [None, *DeviceState])
def test_an_error_code_is_listed_of_failed_devices_only(state: DeviceState | None) -> None:
    wanted = WantedUpdates(state=state, error_code=ErrorCode.REPORTED)
    if state in {None, DeviceState.FAILED}:
        wanted.check()
    else:
        with pytest.raises(InvalidError, match="which has none"):
            wanted.check()
    WantedUpdates(state=state).check()


def test_an_unknown_wave_is_refused_with_up_to_20_of_those_there_are() -> None:
    rollout = make_rollout(*[make_wave(name=f"w{number}") for number in range(21)])
    assert WantedUpdates(wave="w20").filter_of(rollout).wave == 20
    assert WantedUpdates().filter_of(rollout).wave is None
    with pytest.raises(InvalidError) as caught:
        WantedUpdates(wave="w21").filter_of(rollout)
    assert str(caught.value).endswith(" w18, w19.")


def test_an_unknown_rollout_is_named_by_64_characters() -> None:
    world = World([])
    with pytest.raises(UnknownError, match=f"'{'x' * 64}'"):
        read.is_awaited(world.stores.rollouts, "x" * 65, None)


def test_a_wait_ends_with_a_later_revision_or_the_end_of_the_rollout() -> None:
    world = World(devices(2))
    rollout_id = world.create().rollout.id
    store, revision = world.stores.rollouts, world.rollout(rollout_id).revision
    assert not read.is_awaited(store, rollout_id, revision)
    assert read.is_awaited(store, rollout_id, revision - 1)
    assert not read.is_awaited(store, rollout_id, None)
    world.until_over(rollout_id)
    assert read.is_awaited(store, rollout_id, None)
