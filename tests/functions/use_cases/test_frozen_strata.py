"""Test strata that are judged by themselves, and frozen ones, in whole rollouts."""

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan
from functions.rollouts.model.wave import WaveStatus
from functions.use_cases import read
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device

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
