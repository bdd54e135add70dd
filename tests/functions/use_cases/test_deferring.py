"""Test devices with a low battery: each is updated once it is charged, and explains its wait."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import read
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.use_cases.world import World, device, devices

LOW = {"Response": "Deferred: the battery is at 10 %", "deferred": "lowBattery"}


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the set of devices whose battery is low, for a test to change."""
    found: set[str] = set()
    receive = VirtualDevice.receive_method

    def defer_on_low_battery(
        device: VirtualDevice, payload: Mapping[str, Any], *more: Any, **named: Any
    ) -> MethodResponse:
        if device.device_id in found:
            return MethodResponse(status=409, payload=LOW)
        return receive(device, payload, *more, **named)

    monkeypatch.setattr(VirtualDevice, "receive_method", defer_on_low_battery)
    return found


def explanation(world: World, rollout_id: str, device_id: str) -> str:
    return read.explain_device_update(
        world.stores.rollouts, rollout_id, device_id, world.now
    ).explanation


def test_the_rollout_waits_for_a_deferring_device_beside_the_others(empty: set[str]) -> None:
    world = World(devices(3))
    empty.add("d-001")
    rollout_id = world.create().rollout.id
    world.ticks(60, seconds=60)
    counts = world.rollout(rollout_id).counts
    assert (counts.completed, counts.queued, counts.failed) == (2, 1, 0)
    said = explanation(world, rollout_id, "d-001")
    assert said.startswith("The device is not ready (lowBattery): Deferred: the battery is at 10 %")
    empty.clear()
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_deferring_device_is_not_taken_for_a_hanging_one_after_a_timeout(empty: set[str]) -> None:
    world = World([device("a", hangs=True)])
    rollout_id = world.create(Strategy(timeout=timedelta(minutes=10))).rollout.id
    world.ticks(3)
    empty.add("a")
    world.ticks(180)
    update = world.update(rollout_id)
    assert (update.state, update.attempts_used, update.error) == (DeviceState.QUEUED, 1, None)
    assert "lowBattery" in explanation(world, rollout_id, "a")
