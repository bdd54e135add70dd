"""Test strata that are judged by themselves, and frozen ones, in whole rollouts."""

import pytest

from functions.errors import ConflictError, InvalidError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read, stratum_commands
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device

ADA = Caller("ada")
QUEUED = DeviceState.QUEUED
FREEZE = FailureGate(on_breach=OnBreach.FREEZE)


def make_strategy(**more: object) -> Strategy:
    known: dict[str, object] = {
        "stratify_by": ("tags.model",),
        "failure_gate": FREEZE,
        "max_in_flight": 12,
    }
    return Strategy(**(known | more))  # type: ignore[arg-type]


def fleet(size: int, *strata: str, failing: str = "") -> list[VirtualDevice]:
    """Make `size` devices of each stratum; those of the strata in `failing` all fail."""
    return [
        device(
            f"{name}-{number:03}",
            stratum=name,
            fault=Fault.FAILING if name in failing.split() else Fault.NONE,
        )
        for name in strata
        for number in range(size)
    ]


def frozen_names(rollout: Rollout) -> list[str]:
    return [
        name
        for name, gate in zip(rollout.strata, rollout.stratum_gates, strict=True)
        if gate.frozen is not None
    ]


def states_of(world: World, rollout_id: str, stratum: str) -> set[DeviceState]:
    return {item.state for item in world.updates(rollout_id) if item.device_id.startswith(stratum)}


def started_of(world: World, rollout_id: str, stratum: str) -> int:
    return sum(
        item.dispatched_at is not None
        for item in world.updates(rollout_id)
        if item.device_id.startswith(stratum)
    )


def test_a_breached_stratum_is_frozen_and_the_others_complete() -> None:
    world = World(fleet(40, "a", "b", "c", "d", failing="b"))
    rollout_id = world.create(make_strategy(waves=(WavePlan(size=40, name="canary"),))).rollout.id
    world.ticks(120)
    rollout = world.rollout(rollout_id)
    assert frozen_names(rollout) == ["b"]
    for name in "acd":
        assert states_of(world, rollout_id, name) == {DeviceState.COMPLETED}
    assert states_of(world, rollout_id, "b") == {DeviceState.FAILED, DeviceState.QUEUED}
    assert started_of(world, rollout_id, "b") < 15
    assert [wave.status for wave in rollout.waves] == [WaveStatus.COMPLETED] * 2
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "stratumFrozen"
    assert "frozen stratum b wait. Stratum b: " in rollout.status_reason.message
    waiting = next(
        item
        for item in world.updates(rollout_id)
        if item.device_id.startswith("b") and item.state is DeviceState.QUEUED
    )
    told = read.explain_device_update(
        world.stores.rollouts, rollout_id, waiting.device_id, world.now
    )
    assert "Waiting: stratum b is frozen. Stratum b: " in told.explanation


def make_frozen(*failing: str, size: int = 30) -> tuple[World, str]:
    """Run a rollout of the strata a, b and c until only devices of frozen ones are left."""
    world = World(fleet(size, "a", "b", "c", failing=" ".join(failing)))
    rollout_id = world.create(make_strategy(success_share=percent(50))).rollout.id
    world.ticks(60)
    assert frozen_names(world.rollout(rollout_id)) == sorted(failing)
    return world, rollout_id


def mend(world: World, stratum: str) -> None:
    for name, item in world.hub.devices.items():
        if name.startswith(stratum):
            item.fault = Fault.NONE


def test_a_stratum_that_failed_as_a_whole_still_waits_for_a_person() -> None:
    """Its devices all started at once, so none is left that could wait."""
    world = World(fleet(10, "a", "b", failing="b"))
    rollout_id = world.create(Strategy(stratify_by=("tags.model",), failure_gate=FREEZE)).rollout.id
    world.ticks(30)
    rollout = world.rollout(rollout_id)
    assert rollout.counts.ended == rollout.counts.total
    assert rollout.status is RolloutStatus.PAUSED
    assert str(rollout.status_reason and rollout.status_reason.message).startswith(
        "No device of frozen stratum b waits. Stratum b: "
    )
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED


def test_a_resume_of_a_stratum_lets_its_devices_go_on() -> None:
    world, rollout_id = make_frozen("b")
    failed = world.rollout(rollout_id).counts.failed
    mend(world, "b")
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    assert world.rollout(rollout_id).status is RolloutStatus.RUNNING
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.COMPLETED
    assert ended.counts.completed == 90 - failed
    assert ended.waves[0].acknowledged_failed == failed


@pytest.mark.parametrize("waves", [(), (WavePlan(size=30),)])
def test_a_resumed_stratum_goes_on_in_a_wave_that_has_failed_without_it(
    waves: tuple[WavePlan, ...],
) -> None:
    world = World(fleet(30, "a", "b", "c", failing="b"))
    world.hub.devices["a-003"].fault = Fault.FAILING
    strategy = make_strategy(success_share=percent(100), waves=waves)
    rollout_id = world.create(strategy).rollout.id
    world.ticks(60)
    assert world.rollout(rollout_id).waves[-1].status is WaveStatus.FAILED
    assert DeviceState.QUEUED in states_of(world, rollout_id, "b")
    mend(world, "b")
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    world.ticks(30)
    if world.rollout(rollout_id).stops:  # the first wave has failures, too
        commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    ended = world.until_over(rollout_id)
    assert states_of(world, rollout_id, "b") == {DeviceState.COMPLETED, DeviceState.FAILED}
    assert (ended.status, ended.counts.queued) == (RolloutStatus.FAILED, 0)


@pytest.mark.parametrize("on_breach", [OnBreach.FREEZE, OnBreach.ROLLBACK])
def test_a_rollout_pauses_if_its_only_evidence_is_of_a_stratum_that_is_cancelled(
    on_breach: OnBreach,
) -> None:
    world = World(fleet(8, "a", "b"))
    strategy = make_strategy(
        waves=(WavePlan(size=1), WavePlan(size=4, approval=True)),
        failure_gate=FailureGate(on_breach=on_breach),
    )
    rollout_id = world.create(strategy).rollout.id
    world.ticks(10)
    canary, other = ("a", "b") if states_of(world, rollout_id, "a") - {QUEUED} else ("b", "a")
    stratum_commands.cancel_strata(world.services, rollout_id, ADA, [canary])
    world.ticks(2)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "tooLittleEvidence"
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    world.tick()
    commands.run_command(world.services, rollout_id, operator_commands.approve, ADA)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert states_of(world, rollout_id, other) == {DeviceState.COMPLETED}


def test_a_stratum_that_fails_on_is_frozen_again_after_its_resume() -> None:
    world, rollout_id = make_frozen("b")
    before = started_of(world, rollout_id, "b")
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    world.ticks(30)
    rollout = world.rollout(rollout_id)
    assert frozen_names(rollout) == ["b"]
    assert before < started_of(world, rollout_id, "b") < 30
    assert "Counted since its failures were acknowledged at" in str(rollout.status_reason)


def test_a_cancel_of_the_frozen_stratum_lets_the_rollout_end() -> None:
    world, rollout_id = make_frozen("b")
    stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["b"])
    ended = world.until_over(rollout_id, ticks=20)
    assert ended.status is RolloutStatus.COMPLETED
    assert states_of(world, rollout_id, "b") == {DeviceState.FAILED, DeviceState.CANCELLED}
    cancelled = next(
        item for item in world.updates(rollout_id) if item.state is DeviceState.CANCELLED
    )
    assert cancelled.explanation == "Stratum b was cancelled before the device started."


def test_two_frozen_strata_are_resumed_one_by_one() -> None:
    world, rollout_id = make_frozen("b", "c")
    mend(world, "b")
    mend(world, "c")
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["c"])
    world.ticks(30)
    rollout = world.rollout(rollout_id)
    assert frozen_names(rollout) == ["b"]
    assert DeviceState.QUEUED not in states_of(world, rollout_id, "c")
    assert rollout.status is RolloutStatus.PAUSED
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_resume_without_strata_does_not_let_a_frozen_stratum_go_on() -> None:
    world, rollout_id = make_frozen("b")
    with pytest.raises(ConflictError, match="Only devices of frozen strata are left: b"):
        commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)


def test_a_stratum_that_is_not_frozen_cannot_be_resumed() -> None:
    world, rollout_id = make_frozen("b")
    with pytest.raises(ConflictError, match="Stratum a is not frozen"):
        stratum_commands.resume_strata(world.services, rollout_id, ADA, ["a"])
    with pytest.raises(InvalidError) as refused:
        stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b", "x"])
    assert [field.pointer for field in refused.value.fields] == ["/strata/1"]


def test_a_stratum_is_frozen_during_a_pause() -> None:
    world = World(fleet(40, "a", "b", "c", failing="b"))
    rollout_id = world.create(make_strategy(max_in_flight=60)).rollout.id
    world.tick()
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    world.ticks(20)
    rollout = world.rollout(rollout_id)
    assert frozen_names(rollout) == ["b"]
    assert rollout.status is RolloutStatus.PAUSED
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    world.ticks(60)
    assert DeviceState.QUEUED not in states_of(world, rollout_id, "a")
    assert DeviceState.QUEUED in states_of(world, rollout_id, "b")


def test_a_retry_queues_devices_of_a_frozen_stratum_without_starting_them() -> None:
    world, rollout_id = make_frozen("b")
    mend(world, "b")
    commands.retry(world.services, rollout_id, ADA)
    world.ticks(10)
    assert states_of(world, rollout_id, "b") == {DeviceState.QUEUED}
    stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 90)


def test_a_whole_firmware_that_fails_pauses_instead_of_freezing_each_stratum() -> None:
    world = World(fleet(30, "a", "b", "c", failing="a b c"))
    rollout_id = world.create(make_strategy()).rollout.id
    world.ticks(30)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.counts.failed + rollout.counts.updating < 30


def test_without_freeze_a_breached_stratum_pauses_and_a_resume_goes_past_it() -> None:
    world = World(fleet(60, *"abcdefgh", failing="b"))
    gate = FailureGate(on_breach=OnBreach.PAUSE)
    rollout_id = world.create(
        make_strategy(failure_gate=gate, success_share=percent(50))
    ).rollout.id
    world.ticks(60)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.message.startswith("Stratum b: ")
    mend(world, "b")
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.COMPLETED


def test_the_rollback_of_a_stratum_undoes_its_devices_alone() -> None:
    world = World(fleet(30, "a", "b", "c"))
    before = world.request(firmware=Firmware(version="1.0.0", package_uri="https://x.example/1"))
    first = create(world.services, before, None).rollout.id
    assert world.until_over(first).status is RolloutStatus.COMPLETED
    for number in range(0, 30, 2):
        world.hub.devices[f"b-{number:03}"].fault = Fault.FAILING
    rollout_id = world.create(make_strategy(success_share=percent(50))).rollout.id
    world.ticks(60)
    assert frozen_names(world.rollout(rollout_id)) == ["b"]
    completed = [
        item.device_id
        for item in world.updates(rollout_id)
        if item.device_id.startswith("b") and item.state is DeviceState.COMPLETED
    ]
    back = stratum_commands.roll_back_strata(world.services, rollout_id, ADA, ["b"]).rollout
    assert {item.device_id[0] for item in world.updates(back.id)} == {"b"}
    assert set(completed) <= {item.device_id for item in world.updates(back.id)}
    assert back.definition.rollback_of == rollout_id
    ended = world.until_over(rollout_id, ticks=40)
    assert ended.status is RolloutStatus.COMPLETED
    assert ended.rollback is None
    (freeze,) = [gate.frozen for gate in ended.stratum_gates if gate.frozen is not None]
    assert freeze.rollback == RolledBack(back.id)
    with pytest.raises(ConflictError, match="is completed"):
        stratum_commands.resume_strata(world.services, rollout_id, ADA, ["b"])
