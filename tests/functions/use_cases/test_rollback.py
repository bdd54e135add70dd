"""Test rollbacks: each device is brought back to what it ran before."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, OnConflict, Strategy, WavePlan
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import undone_devices
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import FIRMWARE, World, devices

ADA = Caller("ada", "it smells")
FACTORY = Firmware(version="1.0.0", package_uri="https://packages.example/1.0.0.bin")
OTHER = Firmware(version="1.5.0", package_uri="https://packages.example/1.5.0.bin")


def running(world: World, device_id: str) -> str:
    twin = world.hub.read_twin(device_id)
    assert twin is not None
    return str(twin.reported["firmwareVersion"])


def updated(world: World, firmware: Firmware, *ids: str, strategy: Strategy | None = None) -> str:
    request = world.request(*ids, firmware=firmware, strategy=strategy or Strategy())
    rollout_id = create(world.services, request, None).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    return rollout_id


def test_each_device_goes_back_to_its_own_version_with_the_same_gates() -> None:
    world = World(devices(30))
    world.stores.catalogue.save(FACTORY)
    newer = [f"d-{n:03}" for n in range(20)]
    updated(world, OTHER, *newer)
    strategy = Strategy(waves=(WavePlan(size=6, name="canary"),))
    rollout_id = updated(world, FIRMWARE, strategy=strategy)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert (back.definition.rollback_of, back.definition.created_by.name) == (rollout_id, "ada")
    assert back.strategy.failure_gate == strategy.failure_gate
    assert [wave.name for wave in back.waves] == ["canary", "rest"]
    canaries = {item.version for item in world.updates(back.id) if item.wave == 0}
    assert len(canaries) == 2
    assert world.until_over(back.id).counts.completed == 30
    versions = {name: running(world, name) for name in world.hub.devices}
    assert {versions[name] for name in newer} == {"1.5.0"}
    assert {versions[f"d-{n:03}"] for n in range(20, 30)} == {"1.0.0"}
    assert world.rollout(rollout_id).rollback == RolledBack(back.id)


@pytest.mark.parametrize(("count", "invoked"), [(10, 10), (11, 0)])
def test_a_rollback_of_up_to_ten_devices_invokes_them_with_its_request(
    count: int, invoked: int
) -> None:
    world = World(devices(count))
    world.stores.catalogue.save(FACTORY)
    refusing = Strategy(
        on_conflict=OnConflict.REFUSE,
        failure_gate=FailureGate(on_breach=OnBreach.CANCEL),
        stratify_by=("tags.model",),
    )
    request = replace(world.request(strategy=refusing), labels={"build": "7"})
    rollout_id = create(world.services, request, None).rollout.id
    world.until_over(rollout_id)
    before = world.hub.operations.methods
    made = roll_back(world.services, rollout_id, ADA)
    assert world.hub.operations.methods - before == len(made.updates) == invoked
    assert made.is_new
    assert made.rollout.definition.labels == {"build": "7"}
    strategy = made.rollout.strategy
    assert strategy.failure_gate.on_breach is OnBreach.PAUSE
    assert (strategy.on_conflict, strategy.stratify_by) == (OnConflict.SUPERSEDE, ())


def test_devices_whose_earlier_firmware_is_unknown_are_left_out() -> None:
    world = World(devices(12))
    updated(world, OTHER, "d-000", "d-001")
    rollout_id = updated(world, FIRMWARE)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.total == 2
    world.until_over(back.id)
    assert running(world, "d-000") == "1.5.0"
    assert running(world, "d-005") == FIRMWARE.version


def test_without_any_known_firmware_there_is_no_rollback_and_nothing_changes() -> None:
    world = World(devices(3))
    rollout_id = updated(world, FIRMWARE)
    with pytest.raises(ConflictError, match=r"1\.0\.0"):
        roll_back(world.services, rollout_id, ADA)
    assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED
    assert world.rollout(rollout_id).rollback is None


def test_only_an_open_rollout_without_anything_to_bring_back_is_to_be_cancelled_instead() -> None:
    world = World(devices(3))
    open_id = world.create().rollout.id
    with pytest.raises(ConflictError, match=r"nothing to bring back\. Cancel it instead\.$"):
        roll_back(world.services, open_id, ADA)
    world.until_over(open_id)
    over = create(world.services, world.request(body_hash="again"), None).rollout
    assert over.is_over  # all its devices run the version already
    with pytest.raises(ConflictError, match=r"completed and .* nothing to bring back\.$"):
        roll_back(world.services, over.id, ADA)


def test_a_rollout_is_rolled_back_once_and_only_after_something_has_completed() -> None:
    world = World(devices(3, stage=600))
    world.stores.catalogue.save(FACTORY)
    rollout_id = world.create().rollout.id
    with pytest.raises(ConflictError, match="nothing to bring back"):
        roll_back(world.services, rollout_id, ADA)
    world.until_over(rollout_id)
    roll_back(world.services, rollout_id, ADA)
    with pytest.raises(ConflictError, match="already"):
        roll_back(world.services, rollout_id, ADA)


def test_an_open_rollout_is_cancelled_by_its_rollback() -> None:
    world = World(devices(60))
    world.stores.catalogue.save(FACTORY)
    strategy = Strategy(waves=(WavePlan(size=10), WavePlan(size=10, approval=True)))
    request = world.request(strategy=strategy)
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(10)
    assert world.rollout(rollout_id).counts.completed == 10
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.total == 10
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.cancelled) == (RolloutStatus.CANCELLED, 50)
    reason = Reason(code="rolledBack", message="Rolled back by ada: it smells")
    assert ended.status_reason == reason


def test_a_breach_may_roll_back_by_itself_and_does_so_once() -> None:
    world = World(devices(40))
    world.stores.catalogue.save(FACTORY)
    strategy = Strategy(
        waves=(WavePlan(size=20),), failure_gate=FailureGate(on_breach=OnBreach.ROLLBACK)
    )
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[:5]:
        world.hub.devices[name].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.CANCELLED
    assert ended.status_reason is not None
    assert ended.status_reason.code == "failureGate"
    found = world.stores.rollouts.list_rollouts(None, 10, None).items
    back = [item for item in found if item.definition.rollback_of == rollout_id]
    assert [RolledBack(item.id) for item in back] == [ended.rollback]
    assert world.until_over(back[0].id).counts.completed == 15
    assert {running(world, name) for name in world.hub.devices} == {"1.0.0"}


def test_a_breach_that_cannot_roll_back_says_so_and_ends() -> None:
    world = World(devices(12))
    gate = FailureGate(on_breach=OnBreach.ROLLBACK)
    request = world.request(strategy=Strategy(failure_gate=gate))
    rollout_id = create(world.services, request, None).rollout.id
    for item in list(world.hub.devices.values())[:6]:
        item.fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert ended.is_over
    assert ended.rollback is None
    actions = [event.action for event in ended.audit.events]
    assert "rollbackImpossible" in actions or ended.status is RolloutStatus.FAILED


def test_a_rollback_of_thousands_is_gathered_behind_the_request() -> None:
    world = World(devices(1_200))
    world.stores.catalogue.save(FACTORY)
    rollout_id = updated(world, FIRMWARE)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.status is RolloutStatus.SCHEDULED
    assert world.until_over(back.id).counts.completed == 1_200
    assert replace(back.firmware, sha256=None) == FACTORY


def test_of_two_requests_that_create_one_rollback_at_once_both_name_it() -> None:
    world = World(devices(12))
    world.stores.catalogue.save(FACTORY)
    undone = updated(world, FIRMWARE)
    store: Any = world.stores.rollouts
    add, made = store.add, list[str]()

    def add_late(*arguments: Any, **more: Any) -> Any:
        store.add = add
        made.append(roll_back(world.services, undone, ADA).rollout.id)
        return add(*arguments, **more)

    store.add = add_late
    assert [roll_back(world.services, undone, ADA).rollout.id] == made
    assert world.rollout(undone).rollback == RolledBack(made[0])
    actions = [event.action for event in world.rollout(undone).audit.events]
    assert actions.count("rollbackCreated") == 1


def test_a_rollback_of_more_than_ten_devices_reads_each_twin_once() -> None:
    world = World(devices(11))
    world.stores.catalogue.save(FACTORY)
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    before = world.hub.operations.twin_reads
    assert roll_back(world.services, rollout_id, ADA).rollout.total == 11
    assert world.hub.operations.twin_reads - before == 11


def test_a_rollback_reads_the_blocks_of_devices_that_were_sent_the_firmware(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(devices(300))
    world.stores.catalogue.save(FACTORY)
    canary = Strategy(waves=(WavePlan(size=100), WavePlan(size=200, approval=True)))
    rollout_id = world.create(canary).rollout.id
    world.ticks(30)
    assert world.rollout(rollout_id).counts.completed == 100
    read: list[int] = []
    get_blocks = world.stores.rollouts.get_blocks

    def record(snapshot: Any, numbers: Any) -> Any:
        if snapshot.rollout.id == rollout_id:
            read.extend(numbers)
        return get_blocks(snapshot, numbers)

    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    monkeypatch.setattr(world.stores.rollouts, "get_blocks", record)
    undone_devices.find(world.services, snapshot, by_caller=True)
    assert read == [0]
