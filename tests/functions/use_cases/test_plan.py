"""Test plans, and creates that send a plan's hash."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, plan
from functions.use_cases.create import create
from tests.functions.manifests import signed
from tests.functions.use_cases.world import FIRMWARE, NOON, World, device, devices

WAVES = Strategy(waves=(WavePlan(size=percent(5), name="canary"), WavePlan(size=30)))


def hash_of(world: World, request: NewRollout) -> str:
    return plan.plan(world.services, request).plan_hash


def shape(waves: Any) -> list[tuple[str, int]]:
    return [(wave.name, wave.size) for wave in waves]


@pytest.mark.parametrize("number", [40, 250])
@pytest.mark.parametrize("condition", [None, "tags.site = 'berlin'"])
def test_a_plan_is_what_a_create_does(number: int, condition: str | None) -> None:
    world = World(devices(number))
    request = replace(world.request(strategy=WAVES), condition=condition)
    request = replace(request, device_ids=() if condition else request.device_ids)
    planned = plan.plan(world.services, request)
    rollout = create(world.services, request, None).rollout
    assert planned.exact
    assert planned.devices == rollout.total == number
    waves: tuple[Wave, ...] = rollout.waves
    assert shape(planned.waves) == shape(waves)
    assert shape(waves)[0] == ("canary", -(-number // 20))


def test_a_plan_warns_of_waves_that_no_device_is_left_for() -> None:
    world = World(devices(3))
    early = WavePlan(size=percent(1), name="early", approval=True)
    request = world.request(strategy=Strategy(waves=(WavePlan(size=percent(1)), early)))
    planned = plan.plan(world.services, request)
    (warning,) = [item for item in planned.warnings if item.code == "emptyWave"]
    assert warning.count == 1
    assert "3 devices" in warning.message
    assert "early" in warning.message
    rollout = create(world.services, request, None).rollout
    assert [wave.approval for wave in rollout.waves] == [False, True]
    world.ticks(1)
    started = world.rollout(rollout.id).audit.events[1]
    assert started.message == "3 devices in 2 waves. No device is left for: early."


def test_a_plan_warns_of_what_its_firmware_lacks_alone() -> None:
    world = World(devices(40))
    warnings = plan.plan(world.services, world.request()).warnings
    assert [item.code for item in warnings] == ["noSha256", "noManifest", "noWayBack"]
    firmware = replace(FIRMWARE, sha256="a" * 64, manifest=signed(sha256="a" * 64))
    world.stores.catalogue.save(Firmware(version="1.0.0", package_uri="https://x.example/1"))
    assert plan.plan(world.services, world.request(firmware=firmware)).warnings == []


def test_a_plan_changes_nothing_and_starts_nothing() -> None:
    world = World(devices(5))
    plan.plan(world.services, world.request())
    assert world.stores.rollouts.list_rollouts(None, 10, None).items == []
    assert world.stores.catalogue.get(FIRMWARE.version) is None
    assert world.hub.operations.methods == 0


def test_a_plan_refuses_what_a_create_would() -> None:
    world = World(devices(5))
    for wrong in (
        world.request("d-000", "ghost"),
        world.request(strategy=Strategy(waves=(WavePlan(size=6),))),
    ):
        with pytest.raises(InvalidError) as planned:
            plan.plan(world.services, wrong)
        with pytest.raises(InvalidError) as created:
            create(world.services, wrong, None)
        assert planned.value.fields == created.value.fields


# -- the hash


def test_the_hash_does_not_depend_on_the_order_of_the_ids_or_the_time() -> None:
    world = World(devices(80))
    request = world.request(strategy=WAVES)
    first = hash_of(world, request)
    world.pass_time(hours=1)
    turned = replace(request, device_ids=request.device_ids[::-1], body_hash="another text")
    assert hash_of(world, turned) == first
    assert hash_of(World(devices(80)), request) == first


def other_gate(request: NewRollout) -> NewRollout:
    gate = FailureGate(on_breach=OnBreach.CANCEL)
    return replace(request, strategy=replace(request.strategy, failure_gate=gate))


CHANGES: list[Callable[[NewRollout], NewRollout]] = [
    lambda request: replace(request, device_ids=request.device_ids[1:]),
    lambda request: replace(request, device_ids=(*request.device_ids[1:], "spare")),
    lambda request: replace(request, strategy=Strategy()),
    lambda request: replace(request, strategy=replace(request.strategy, waves=WAVES.waves[:1])),
    other_gate,
    lambda request: replace(request, firmware=replace(request.firmware, version="9")),
    lambda request: replace(request, start_at=NOON + timedelta(days=1)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_hash_differs_for_other_devices_waves_strategies_and_firmware(
    change: Callable[[NewRollout], NewRollout],
) -> None:
    world = World([*devices(80), device("spare")])
    ids = tuple(f"d-{number:03}" for number in range(80))
    request = world.request(*ids, strategy=WAVES)
    assert hash_of(world, change(request)) != hash_of(world, request)


def test_the_hash_differs_when_another_rollout_has_one_of_the_devices() -> None:
    world = World(devices(30, stage=600))
    request = world.request()
    before = hash_of(world, request)
    other = create(world.services, world.request("d-003"), None).rollout.id
    assert hash_of(world, request) != before
    commands.cancel(world.services, other, Caller("ada"))
    world.until_over(other)
    assert hash_of(world, request) == before


def test_a_create_with_the_current_plan_succeeds() -> None:
    world = World(devices(30))
    request = world.request(strategy=Strategy(waves=(WavePlan(size=3),)))
    held = replace(request, plan_hash=hash_of(world, request))
    assert create(world.services, held, "key").rollout.total == 30


def test_a_create_with_an_outdated_plan_is_refused_and_stores_nothing() -> None:
    world = World(devices(30, stage=600))
    request = world.request()
    held = replace(request, plan_hash=hash_of(world, request))
    other = create(world.services, world.request("d-003"), None).rollout.id
    with pytest.raises(ConflictError, match="planHash"):
        create(world.services, held, "key")
    assert world.stores.rollouts.list_open_ids() == [other]
    assert world.stores.keys.get("key") is None
    assert world.stores.targets.list_history("d-004", 10, None).items == []


def test_a_repeated_create_returns_its_rollout_although_the_plan_has_changed() -> None:
    world = World(devices(30, stage=600))
    request = world.request()
    held = replace(request, plan_hash=hash_of(world, request))
    first = create(world.services, held, "key").rollout
    again = create(world.services, held, "key")
    assert (again.is_new, again.rollout.id) == (False, first.id)


# -- conflicts


def test_a_plan_names_the_devices_that_another_open_rollout_has() -> None:
    world = World(devices(30, stage=600))
    first = world.create().rollout
    planned = plan.plan(world.services, world.request("d-002", "d-001"))
    (conflict,) = planned.conflicts
    assert (conflict.rollout_id, conflict.devices) == (first.id, 2)
    assert list(conflict.examples) == ["d-001", "d-002"]


def test_all_conflicting_devices_are_counted_and_a_few_are_named() -> None:
    world = World(devices(250, stage=600))
    world.create()
    (conflict,) = plan.plan(world.services, world.request()).conflicts
    assert conflict.devices == 250
    assert list(conflict.examples) == [f"d-{number:03}" for number in range(10)]


def test_a_rollout_that_is_over_is_no_conflict() -> None:
    world = World(devices(5))
    world.until_over(world.create().rollout.id)
    assert plan.plan(world.services, world.request()).conflicts == []


# -- conditions


def test_a_plan_of_a_very_large_condition_is_the_hub_s_count_and_not_exact() -> None:
    world = World(devices(2_500))
    request = replace(world.request(strategy=WAVES), device_ids=(), condition="true")
    planned = plan.plan(world.services, request)
    assert (planned.devices, planned.exact) == (2_500, False)
    assert shape(planned.waves) == [("canary", 125), ("wave 2", 30), ("rest", 2_345)]
    queries = world.hub.operations.queries
    assert queries <= 12
    held = replace(request, plan_hash=planned.plan_hash)
    rollout_id = create(world.services, held, None).rollout.id
    world.ticks(3)
    assert shape(world.rollout(rollout_id).waves) == shape(planned.waves)


def test_a_condition_that_the_hub_does_not_count_is_refused_as_invalid() -> None:
    world = World(devices(1_500))
    patched: Any = world.hub

    def refuse(_: str) -> int:
        raise ConditionError("aggregates are not for this")

    patched.count_matching = refuse
    with pytest.raises(InvalidError) as caught:
        plan.plan(world.services, replace(world.request(), device_ids=(), condition="x"))
    assert [field.pointer for field in caught.value.fields] == ["/target/condition"]


def test_a_plan_forecasts_messages_and_durations() -> None:
    world = World(devices(100))
    short = plan.plan(world.services, world.request())
    long = plan.plan(world.services, world.request(strategy=Strategy(soak=timedelta(hours=1))))
    assert short.forecast.messages == long.forecast.messages == 700
    assert long.forecast.duration - short.forecast.duration == timedelta(hours=1)
    assert short.quota_minimum_seconds > 0
