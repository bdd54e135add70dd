"""The offline deadline counts only time in which the device might have started."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, Strategy, Window
from functions.rollouts.rollout import operator_commands
from functions.use_cases.commands import cancel, run_command
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.cases.steps import ADA
from tests.functions.use_cases.world import NOON, World, device

DEADLINE = Offline(deadline=timedelta(hours=6))
NIGHT = Window(start=time(1), end=time(3), timezone="UTC")


def start(away: VirtualDevice, strategy: Strategy) -> tuple[World, str]:
    world = World([away])
    return world, create(world.services, world.request(strategy=strategy), None).rollout.id


def test_a_pause_does_not_use_up_the_deadline() -> None:
    away = device(online=False)
    world, rollout_id = start(away, Strategy(offline=DEADLINE))
    world.ticks(60, seconds=60)
    run_command(world.services, rollout_id, operator_commands.pause, ADA)
    world.ticks(48, seconds=3600)
    assert world.update(rollout_id).state is DeviceState.QUEUED
    run_command(world.services, rollout_id, operator_commands.resume, ADA)
    world.ticks(4 * 60, seconds=60)
    assert world.update(rollout_id).state is DeviceState.QUEUED
    world.ticks(2 * 60, seconds=60)
    update = world.update(rollout_id)
    assert (update.state, update.error and update.error.code) == (DeviceState.FAILED, "unreachable")


@pytest.mark.parametrize(("nights", "state"), [(2, DeviceState.QUEUED), (4, DeviceState.FAILED)])
def test_closed_windows_do_not_use_up_the_deadline(nights: int, state: DeviceState) -> None:
    away = device(online=False)
    world, rollout_id = start(away, Strategy(offline=DEADLINE, window=NIGHT))
    world.ticks(nights * 24 * 12, seconds=300)
    assert world.update(rollout_id).state is state
    assert world.rollout(rollout_id).start_clock.counted <= nights * timedelta(hours=2)


def test_a_device_that_is_connected_only_outside_the_window_is_not_given_up_by_day() -> None:
    day = [NOON.timestamp() + hour * 3600 for hour in range(24 * 14)]
    away = device(online=False, connection_changes=tuple(day[12::24]))
    world, rollout_id = start(away, Strategy(offline=DEADLINE, window=NIGHT))
    world.ticks(2 * 24 * 12, seconds=300)
    assert world.update(rollout_id).error is None


class _Unseen(VirtualDevice):
    """A device that the hub always shows as offline."""

    __slots__ = ()

    def read_twin(self, now: float) -> DeviceTwin:
        return replace(super().read_twin(now), connected=False)


def test_a_device_that_returns_while_the_hub_says_that_it_is_away_is_updated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = _Unseen("a", offline=True)
    world, rollout_id = start(away, Strategy(offline=DEADLINE))
    monkeypatch.setattr(world.hub, "query_connections", lambda ids: dict.fromkeys(ids, False))
    world.ticks(60, seconds=60)
    away.offline = False
    world.ticks(5 * 60, seconds=60)
    assert world.update(rollout_id).state is DeviceState.COMPLETED


def test_a_dead_device_costs_few_calls() -> None:
    world, rollout_id = start(device(online=False), Strategy())
    world.ticks(7 * 24 * 12 + 12, seconds=300)
    update = world.update(rollout_id)
    assert (update.state, update.error and update.error.code) == (DeviceState.FAILED, "unreachable")
    assert world.hub.operations.methods < 15


def test_a_cancelled_rollout_with_a_device_in_doubt_still_ends() -> None:
    lost = device(lose_requests=1, tutorial_only=True)
    world, rollout_id = start(lost, Strategy(offline=DEADLINE, window=None))
    world.hub.disconnect("a")
    world.ticks(1)
    cancel(world.services, rollout_id, ADA)
    world.ticks(8 * 60, seconds=60)
    ended = world.rollout(rollout_id)
    assert (ended.status, ended.is_over) == (RolloutStatus.CANCELLED, True)
