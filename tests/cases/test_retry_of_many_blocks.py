"""Check that a retry of more failed blocks than one write holds reaches every failed device.

Two waves of 500. Five devices of the first fail, one in each of its blocks (98% is reached), and a
tenth of the last. Today the retry's first write queues the first four blocks again and reopens both
waves. The last wave has no queued device in that write and is closed as failed. The next write
queues its devices, and nothing opens the wave again.
"""

import pytest

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Share, Strategy, WavePlan, percent
from functions.use_cases import commands
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, require
from tests.functions.use_cases.world import World, devices

CALM = FailureGate(acceptable=percent(50), unacceptable=percent(99))


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="B11: the retry reopens every wave")
def test_every_failed_device_of_an_ended_rollout_is_tried_again() -> None:
    world = World(devices(1000, stage=1))
    strategy = Strategy(waves=(WavePlan(size=500),), success_share=Share(9800), failure_gate=CALM)
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    order = [item.device_id for item in world.updates(rollout_id)]
    bad = [order[n] for n in range(50, 500, 100)] + [order[n] for n in range(505, 1000, 10)]
    for name in bad:
        world.hub.devices[name].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    require(ended.status is RolloutStatus.FAILED, "the rollout failed")
    require(ended.counts.failed == len(bad), "exactly the chosen devices failed")
    for name in bad:
        world.hub.devices[name].fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    over = world.until_over(rollout_id, ticks=1000)
    counts, last = over.counts, over.waves[-1]
    assert (over.status, counts.queued) == (RolloutStatus.COMPLETED, 0), (
        f"{over.status}, {counts.queued} queued, last wave {last.status}:"
        f" {world.updates(rollout_id)[505].explanation}"
    )
