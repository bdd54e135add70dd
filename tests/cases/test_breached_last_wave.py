"""Check that a rollout whose last wave breached its gate does not end as completed by itself.

All devices of the wave were under way at the breach. They end, and the success share (80%) is
reached. If the rollout became `completed`, a pipeline that waits for the end would report success
for firmware that the gate has called bad.
"""

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, percent
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, require
from tests.functions.use_cases.world import World, devices


def test_a_breached_rollout_does_not_end_as_completed_by_itself() -> None:
    world = World(devices(50))
    strategy = Strategy(success_share=percent(80))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    for number in range(8):
        world.hub.devices[f"d-{number:03}"].fault = Fault.FAILING
        world.hub.devices[f"d-{number:03}"].time_factor = 0.5
    seen = []
    for _ in range(100):
        world.tick()
        seen.append(world.rollout(rollout_id).status)
        if world.rollout(rollout_id).is_over:
            break
    ended = world.rollout(rollout_id)
    require(RolloutStatus.PAUSED in seen, "the gate was breached")
    assert ended.status is not RolloutStatus.COMPLETED, (
        f"{ended.status} with {ended.status_reason}; wave {ended.waves[0].status}"
    )
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED
