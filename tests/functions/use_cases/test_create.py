"""Test what a request for a rollout finds, stores and returns."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import PlanChangedError, StorageUnavailableError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import ResolveTarget, Strategy
from functions.use_cases import plan
from functions.use_cases.create import Creation, create
from functions.use_cases.target_devices import MAX_STARTED_BY_REQUEST
from tests.cases.steps import roll_out
from tests.functions.use_cases.world import NOON, World, devices

LATER: dict[str, Any] = {
    "device_ids": (),
    "condition": "tags.site = 'berlin'",
    "start_at": NOON + timedelta(hours=1),
    "strategy": Strategy(resolve_target=ResolveTarget.START),
}


def make(world: World, *device_ids: str, key: str | None = None, **more: Any) -> Creation:
    return create(world.services, world.request(*device_ids, **more), key)


def test_a_rollout_keeps_the_hash_of_its_key_and_not_the_key() -> None:
    world = World(devices(3), still=True)
    made = make(world, key="build-1").rollout
    assert made.definition.key_hash == hashlib.sha256(b"build-1").hexdigest()
    assert make(world).rollout.definition.key_hash is None


def test_a_target_that_is_resolved_at_the_start_is_only_checked() -> None:
    world = World(devices(3), still=True)
    planned = plan.plan(world.services, world.request(**LATER)).plan_hash
    for plan_hash in (None, planned):
        made = make(world, **LATER, plan_hash=plan_hash)
        assert made.rollout.resolution is not None
        assert (made.rollout.total, made.updates) == (0, ())
        assert made.rollout.measured.hub_load.queries > 0
    with pytest.raises(PlanChangedError):
        make(world, **LATER, plan_hash="another")
    world.clock.now = LATER["start_at"]
    assert make(world, **LATER).rollout.total == 3


def test_a_request_starts_up_to_ten_devices_and_returns_them_in_its_order() -> None:
    world = World(devices(MAX_STARTED_BY_REQUEST + 1), still=True)
    names = tuple(world.hub.devices)
    wanted = (*reversed(names[1:]),)
    few = make(world, *wanted)
    assert [update.device_id for update in few.updates] == list(wanted)
    assert {update.state for update in few.updates} == {DeviceState.ACCEPTED}
    assert few.is_new
    world.pass_time(seconds=1)
    many = make(world)
    assert many.updates == ()
    assert many.rollout.counts.queued == MAX_STARTED_BY_REQUEST + 1


def test_a_repeated_request_returns_its_devices_again() -> None:
    world = World(devices(3), still=True)
    first = make(world, "d-002", "d-000", key="build-1")
    again = make(world, "d-002", "d-000", key="build-1")
    assert (again.rollout.id, again.is_new, again.warnings) == (first.rollout.id, False, ())
    assert [update.device_id for update in again.updates] == ["d-002", "d-000"]


def test_a_rollout_whose_outcomes_cannot_be_stored_is_returned_as_created() -> None:
    world = World(devices(3), still=True)
    store: Any = world.stores.rollouts
    save = store.save

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("503")

    store.save = fail
    made = make(world)
    store.save = save
    assert made.is_new
    assert {update.state for update in made.updates} == {DeviceState.DISPATCHING}
    assert world.hub.started == 3


def test_a_new_rollout_is_known_to_have_its_devices_without_another_read() -> None:
    world = World(devices(40), still=True)
    names = tuple(world.hub.devices)
    made = make(world, *names[:20]).rollout
    known = world.services.known_devices
    assert known.has_none_of(made.id, frozenset(names[20:]))
    assert not known.has_none_of(made.id, frozenset(names[19:]))


@pytest.mark.parametrize(("minutes", "needed"), [(14, True), (16, False)])
def test_a_rollout_soon_after_another_one_of_its_devices_needs_fresh_twins(
    minutes: float, needed: bool
) -> None:
    world = World(devices(40), still=True)
    names = tuple(world.hub.devices)
    first = make(world, *names[:20]).rollout.id
    ended_at = world.until_over(first).ended_at
    assert ended_at is not None
    world.clock.now = ended_at + timedelta(minutes=minutes)
    newer = replace(world.request().firmware, version="3.0")
    assert not make(world, *names[20:], firmware=newer).rollout.needs_fresh_twins
    world.pass_time(seconds=1)
    assert make(world, *names[:20], firmware=newer).rollout.needs_fresh_twins is needed


def test_a_request_starts_nothing_once_the_messages_of_the_day_are_used_up() -> None:
    world = World(devices(6), still=True)
    make(world, "d-003")
    world.tick()
    stored = world.stores.webhooks.read_controls().budget
    assert stored is not None
    used_up = replace(stored.record, messages_spent=1e12)
    world.stores.budget.save(used_up, stored.version)
    made = make(world, "d-004").rollout
    assert made.status_reason is not None
    assert made.status_reason.code == "dailyQuota"
    assert world.hub.started == 1


def test_the_devices_that_a_request_starts_are_counted_for_the_pacing() -> None:
    world = World(devices(3), still=True)
    assert make(world).rollout.measured.hub_load.starts == 3


@pytest.mark.parametrize(("paths", "is_gathered"), [((), True), (("tags.model",), False)])
def test_a_long_list_is_kept_in_parts_until_it_is_resolved(
    paths: tuple[str, ...], is_gathered: bool
) -> None:
    world = World(devices(1_200), still=True)
    rollout = make(world, strategy=Strategy(stratify_by=paths)).rollout
    found = rollout.resolution
    assert found is not None
    assert (found.devices, found.cursor, found.gathered) == (1_200, None, is_gathered)
    assert found.parts == found.listed_parts > 0
    parts = world.stores.targets.get_parts(rollout.id, 0, found.parts)
    assert [item.device_id for item in parts] == list(world.hub.devices)


def test_a_condition_of_many_devices_is_continued_where_the_request_stopped() -> None:
    world = World(devices(1_200), still=True)
    rollout = make(world, device_ids=(), condition="tags.site = 'berlin'").rollout
    found = rollout.resolution
    assert found is not None
    assert (found.listed_parts, found.gathered) == (0, False)
    assert 0 < found.devices < 1_200
    assert found.cursor is not None
    assert len(world.stores.targets.get_parts(rollout.id, 0, found.parts)) == found.devices


def test_a_rollout_of_devices_that_all_run_its_version_ends_with_the_request() -> None:
    world = World(devices(3), still=True)
    roll_out(world, "2.4.0")
    world.pass_time(hours=1)
    made = make(world)
    assert made.rollout.status is RolloutStatus.COMPLETED
    assert made.rollout.ended_at == world.now
    assert {update.state for update in made.updates} == {DeviceState.SKIPPED}
