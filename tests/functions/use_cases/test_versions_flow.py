"""Test whole rollouts to devices that run the wrong version, or the requested one already."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan, WhenAlreadyRunning, percent
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import plan, rollback
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import OTHER_VERSION, Fault
from tests.functions.use_cases.world import FIRMWARE, USUAL_WARNINGS, World, device, devices

CANARY = Strategy(waves=(WavePlan(name="canary", size=3),))
REINSTALL = Strategy(when_already_running=WhenAlreadyRunning.REINSTALL)


def roll_out(
    world: World, *device_ids: str, version: str = "2.4.0", names: tuple[str, ...] = (), **more: Any
) -> Rollout:
    """Run a rollout until it is over, or paused."""
    uri = f"https://packages.example/{version}.bin"
    firmware = Firmware(version=version, package_uri=uri, reported_as=names)
    request = world.request(*device_ids, firmware=firmware, **more)
    rollout = create(world.services, request, None).rollout
    for _ in range(300):
        rollout = world.rollout(rollout.id)
        if rollout.is_over or rollout.status is RolloutStatus.PAUSED:
            break
        world.tick()
    return rollout


def states(world: World, rollout: Rollout) -> list[str]:
    return [update.state.value for update in world.updates(rollout.id)]


# -- the wrong version


@pytest.mark.parametrize("soak", [0, 60])
def test_canaries_on_a_third_version_stop_the_rollout(soak: int) -> None:
    world = World(devices(20, fault=Fault.WRONG_VERSION))
    strategy = replace(CANARY, soak=timedelta(seconds=soak))
    rollout = roll_out(world, strategy=strategy)
    assert rollout.status is RolloutStatus.PAUSED
    assert world.hub.started == 3
    failed = [item for item in world.updates(rollout.id) if item.state is DeviceState.FAILED]
    assert {item.error.code for item in failed if item.error} == {"wrongVersion"}
    assert {item.running_version for item in failed} == {OTHER_VERSION}
    assert {item.previous_version for item in failed} == {"1.0.0"}


def test_devices_may_report_the_version_under_another_name() -> None:
    world = World(devices(20, fault=Fault.WRONG_VERSION))
    rollout = roll_out(world, names=(OTHER_VERSION,), strategy=CANARY)
    assert (rollout.status, rollout.counts.completed) == (RolloutStatus.COMPLETED, 20)


def test_the_version_is_not_verified_if_the_strategy_says_so() -> None:
    world = World(devices(20, fault=Fault.WRONG_VERSION))
    rollout = roll_out(world, strategy=Strategy(verify_version=False))
    assert (rollout.status, rollout.counts.completed) == (RolloutStatus.COMPLETED, 20)


def test_a_new_rollout_with_the_other_name_skips_devices_that_failed_for_it() -> None:
    world = World(devices(5, fault=Fault.WRONG_VERSION))
    first = roll_out(world, strategy=Strategy(waves=(WavePlan(size=2),)))
    failed = [item.device_id for item in world.updates(first.id) if item.error is not None]
    rollout = roll_out(world, *failed, names=(OTHER_VERSION,))
    assert (rollout.status, rollout.counts.skipped) == (RolloutStatus.COMPLETED, 2)


def test_a_rollback_brings_devices_on_a_third_version_back() -> None:
    world = World(devices(5))
    roll_out(world, version="2.0.0")
    strays = ["d-001", "d-003"]
    for name in strays:
        world.hub.devices[name].fault = Fault.WRONG_VERSION
    undone = roll_out(world, strategy=Strategy(success_share=percent(0)))
    assert undone.counts.failed == 2
    for name in strays:
        world.hub.devices[name].fault = Fault.NONE
    back = rollback.roll_back(world.services, undone.id, Caller("ada")).rollout
    assert world.until_over(back.id).counts.completed == 5
    twins = [world.hub.read_twin(name) for name in world.hub.devices]
    assert {twin.reported["firmwareVersion"] for twin in twins if twin} == {"2.0.0"}


def test_a_rollback_of_a_reinstallation_skips_devices_that_are_back_already() -> None:
    world = World(devices(3))
    roll_out(world, version="2.0.0")
    undone = roll_out(world, strategy=REINSTALL)
    back = rollback.roll_back(world.services, undone.id, Caller("ada")).rollout
    assert back.strategy.when_already_running is WhenAlreadyRunning.SKIP


# -- devices that already run the version


@pytest.mark.parametrize("number", [3, 10, 11, 250])
def test_devices_that_already_run_the_version_are_skipped(number: int) -> None:
    world = World(devices(number))
    roll_out(world)
    methods = world.hub.operations.methods
    rollout = roll_out(world)
    assert (rollout.status, rollout.counts.skipped) == (RolloutStatus.COMPLETED, number)
    assert rollout.waves[0].already_running == number
    assert world.hub.operations.methods == methods
    updates = world.updates(rollout.id)
    assert {item.skip_reason for item in updates} == {SkipReason.ALREADY_RUNNING}
    assert {item.running_version for item in updates} == {"2.4.0"}


def test_a_request_for_devices_that_all_run_the_version_ends_at_once() -> None:
    world = World(devices(3))
    roll_out(world)
    creation = create(world.services, world.request(), None)
    assert creation.rollout.status is RolloutStatus.COMPLETED
    assert [item.state for item in creation.updates] == [DeviceState.SKIPPED] * 3


def test_only_the_other_devices_of_a_mixed_fleet_are_updated() -> None:
    world = World(devices(40))
    some = [f"d-{number:03}" for number in range(0, 40, 4)]
    roll_out(world, *some)
    rollout = roll_out(world, strategy=CANARY)
    assert rollout.status is RolloutStatus.COMPLETED
    assert (rollout.counts.completed, rollout.counts.skipped) == (30, 10)
    assert sum(wave.already_running for wave in rollout.waves) == 10


def test_the_version_is_installed_again_if_the_strategy_says_so() -> None:
    world = World(devices(12))
    roll_out(world)
    rollout = roll_out(world, strategy=REINSTALL)
    assert (rollout.status, rollout.counts.completed) == (RolloutStatus.COMPLETED, 12)
    assert world.hub.started == 24


def test_an_offline_device_that_runs_the_version_is_not_waited_for() -> None:
    world = World(devices(2))
    roll_out(world)
    world.hub.disconnect("d-001")
    rollout = roll_out(world)
    assert (rollout.status, rollout.counts.skipped) == (RolloutStatus.COMPLETED, 2)


def test_devices_that_know_only_the_tutorial_are_never_skipped() -> None:
    world = World(devices(12, tutorial_only=True))
    roll_out(world)
    rollout = roll_out(world)
    assert rollout.counts.completed == 12


def test_an_old_query_result_skips_no_device() -> None:
    """Bring devices back to 1.5.0; the hub's queries still return the 2.4.0 of before."""
    world = World(devices(30))
    roll_out(world)
    roll_out(world, version="1.5.0")
    world.hub.query_lag = timedelta(minutes=10)
    rollout = roll_out(world)
    assert (rollout.counts.completed, rollout.counts.skipped) == (30, 0)


def test_a_device_whose_twin_cannot_be_read_is_skipped_later() -> None:
    world = World(devices(30))
    roll_out(world)
    world.hub.unreadable = {"d-004"}
    rollout = create(world.services, world.request(), None).rollout
    world.ticks(5)
    assert states(world, rollout).count("skipped") == 29
    assert world.hub.started == 30
    world.hub.unreadable = set()
    world.ticks(3)
    assert world.rollout(rollout.id).counts.skipped == 30


def test_a_device_that_another_rollout_updates_is_not_skipped_but_waited_for() -> None:
    """Let the device accept version 2.5.0 and report nothing of it before 2.4.0 is requested."""
    world = World([device(stage=60)])
    roll_out(world)
    firmware = Firmware(version="2.5.0", package_uri=FIRMWARE.package_uri)
    other = create(world.services, world.request(firmware=firmware), None).rollout
    creation = create(world.services, world.request(), None)
    [update] = creation.updates
    assert update.state is DeviceState.QUEUED
    assert update.explanation == f"The device is busy with rollout {other.id}."
    assert world.until_over(creation.rollout.id).counts.completed == 1
    twin = world.hub.read_twin("a")
    assert twin is not None
    assert twin.reported["firmwareVersion"] == "2.4.0"


# -- plans


def warnings(planned: plan.Plan) -> list[tuple[str, int]]:
    shown = [item for item in planned.warnings if item.code not in USUAL_WARNINGS]
    return [(warning.code, warning.count) for warning in shown]


@pytest.mark.parametrize("number", [8, 40])
@pytest.mark.parametrize("condition", [None, "tags.site = 'berlin'"])
def test_a_plan_counts_devices_that_run_the_version_or_a_higher_one(
    number: int, condition: str | None
) -> None:
    world = World(devices(number))
    roll_out(world, "d-000", "d-001", "d-002")
    roll_out(world, "d-003", version="2.10.0")
    roll_out(world, "d-004", version="3.0.0")
    roll_out(world, "d-005", version="blue")
    request = replace(world.request(), condition=condition)
    request = replace(request, device_ids=() if condition else request.device_ids)
    planned = plan.plan(world.services, request)
    assert (planned.already_running, planned.downgrades) == (3, 2)
    assert warnings(planned) == [("downgrade", 2)]
    (warning,) = [item for item in planned.warnings if item.code == "downgrade"]
    assert warning.message == (
        "2 devices run a higher version than 2.4.0: 2.10.0 (1), 3.0.0 (1). The rollout installs"
        " 2.4.0 on them."
    )


@pytest.mark.parametrize(("number", "warned"), [(3, ["downgrade"]), (12, [])])
def test_a_create_that_starts_its_devices_warns_of_a_downgrade(
    number: int, warned: list[str]
) -> None:
    world = World(devices(number))
    roll_out(world, version="2.5.0")
    creation = create(world.services, world.request(), None)
    assert [warning.code for warning in creation.warnings if warning.code == "downgrade"] == warned


def test_a_rollback_does_not_warn_of_its_downgrades() -> None:
    world = World(devices(3))
    roll_out(world, version="2.5.0")
    undone = roll_out(world, version="2.6.0")
    creation = rollback.roll_back(world.services, undone.id, Caller("ada"))
    assert creation.warnings == []
    over = world.until_over(creation.rollout.id)
    assert (over.counts.completed, over.counts.failed) == (3, 0)


def test_a_plan_without_a_higher_version_has_no_warning() -> None:
    world = World(devices(20))
    planned = plan.plan(world.services, world.request())
    assert (planned.already_running, planned.downgrades, warnings(planned)) == (0, 0, [])


def test_another_name_of_the_version_is_no_downgrade() -> None:
    world = World(devices(20))
    roll_out(world, version="24.0")
    firmware = replace(FIRMWARE, reported_as=("24.0",))
    planned = plan.plan(world.services, world.request(firmware=firmware))
    assert (planned.already_running, planned.downgrades) == (20, 0)


def test_a_message_names_only_the_versions_of_most_devices() -> None:
    world = World(devices(15))
    for number in range(7):
        roll_out(world, f"d-{number:03}", version=f"3.{number}")
    roll_out(world, "d-007", version="3.6")
    planned = plan.plan(world.services, world.request())
    (message,) = [item.message for item in planned.warnings if item.code == "downgrade"]
    assert message.startswith("8 devices run a higher version than 2.4.0: 3.6 (2), ")
    assert "and 2 other versions" in message


def test_a_plan_of_a_very_large_condition_counts_all_devices() -> None:
    world = World(devices(2_500))
    roll_out(world, "d-000", "d-2400", version="2.5.0")
    request = replace(world.request(), device_ids=(), condition="true")
    assert plan.plan(world.services, request).downgrades == 2


def test_a_plan_of_a_very_long_list_looks_up_no_version() -> None:
    world = World(devices(1_001))
    planned = plan.plan(world.services, world.request())
    assert (planned.already_running, planned.downgrades) == (None, None)


def test_a_hub_that_does_not_count_a_conditions_versions_leaves_them_unknown() -> None:
    world = World(devices(20))

    def refuse(condition: str) -> Any:
        raise ConditionError(condition)

    world.hub.count_versions_matching = refuse  # type: ignore[method-assign]
    request = replace(world.request(), device_ids=(), condition="true")
    planned = plan.plan(world.services, request)
    assert (planned.devices, planned.already_running, planned.downgrades) == (20, None, None)


def test_the_hash_of_a_plan_does_not_depend_on_what_devices_run() -> None:
    world = World(devices(20))
    before = plan.plan(world.services, world.request()).plan_hash
    roll_out(world, "d-000", version="3.0.0")
    assert plan.plan(world.services, world.request()).plan_hash == before
