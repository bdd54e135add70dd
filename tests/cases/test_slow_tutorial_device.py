"""Check that a device that cannot refuse gets no second update beside the first.

By default `retry.on` holds `timedOut`. Today the next attempt is sent after the timeout although
the device may be at work: one that knows attempts responds 409, one of the tutorial's starts again.
"""

from datetime import timedelta

import pytest

from functions.rollouts.model.strategy import Strategy
from functions.use_cases.create import create
from tests.cases.steps import require
from tests.functions.use_cases.world import World, device


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="B13: not retried while it may be at work"
)
def test_a_device_that_cannot_refuse_is_never_invoked_while_it_may_be_at_work() -> None:
    only = device("a", tutorial_only=True, stage=15 * 60)
    world = World([only])
    strategy = Strategy(timeout=timedelta(minutes=30))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    world.ticks(60 * 6)
    require(bool(only.started), "the device has started")
    assert only.overlaps == 0, (
        f"{only.overlaps} overlapping starts, {only.started}: "
        f"{world.update(rollout_id).explanation}"
    )
