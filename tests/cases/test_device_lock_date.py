"""Check that two rollouts never update a device at once that cannot refuse.

Today a dispatch notes the time, reads up to a hundred twins one by one, and then dates the device
locks by that time. If the reads took CLAIM_DURATION (90 s) or longer, another rollout finds the
lock expired and takes it. The first one still claims, because a claim does not check the lock
again. Both send.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.strategy import Strategy
from functions.use_cases.create import create
from tests.cases.steps import require
from tests.functions.use_cases.world import World, devices


def test_two_rollouts_never_have_a_tutorial_device_at_once() -> None:
    world = World(devices(20, tutorial_only=True, stage=60))
    first = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    (batch,) = world.advance()
    request = world.request(strategy=Strategy(), body_hash="other")
    second = create(world.services, request, None).rollout.id
    (other,) = [item for item in world.advance() if item.rollout_id == second]
    hub: Any = world.hub
    store: Any = world.stores.rollouts
    read_twins, save = hub.read_twins, store.save
    done: list[str] = []

    def slow(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        found: Mapping[str, DeviceTwin | None] = read_twins(ids)
        if "slow" not in done:
            done.append("slow")
            world.pass_time(seconds=91)  # a hundred reads, eight at a time, of seven seconds each
        return found

    def between(*arguments: Any) -> Any:
        """Send the second rollout's batch right before the first one's claims are stored."""
        if "between" not in done:
            done.append("between")
            world.dispatch(other)
        return save(*arguments)

    hub.read_twins, store.save = slow, between
    world.dispatch(batch)
    require(batch.rollout_id == first, "the first batch is the first rollout's")
    require(done == ["slow", "between"], "the reads were slow, and the other batch was sent")
    overlaps = sum(item.overlaps for item in world.hub.devices.values())
    assert overlaps == 0, f"{overlaps} devices began a second update beside the first"
