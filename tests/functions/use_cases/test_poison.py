"""Test batches that are given up after the host's last attempt."""

import logging
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import commands
from functions.use_cases.dispatch import give_up
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, devices

ANOTHER = {"fwPackageUri": "https://x.example/2", "rolloutId": "another", "attempt": 1}


def test_a_batch_given_up_late_fails_no_device_that_was_invoked_and_waits() -> None:
    """Give up a batch after its devices were invoked and responded that they are busy."""
    world = World(devices(20))
    for found in world.hub.devices.values():
        found.receive_method(ANOTHER, world.now.timestamp())
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    world.dispatch(batch)
    waiting = world.updates(rollout_id)
    give_up(world.services, batch, "five attempts")
    assert world.updates(rollout_id) == waiting
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_batch_given_up_after_its_devices_were_leased_again_fails_no_device() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (lost,) = world.advance()
    world.pass_time(seconds=61)
    (again,) = world.advance()
    give_up(world.services, lost, "five attempts")
    world.dispatch(again)
    assert world.until_over(rollout_id).counts.completed == 20


def test_a_batch_that_is_given_up_twice_fails_its_devices_once() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    give_up(world.services, batch, "five attempts")
    failed = world.updates(rollout_id)
    world.pass_time(seconds=5)
    give_up(world.services, batch, "five attempts")
    assert world.updates(rollout_id) == failed
    assert world.rollout(rollout_id).dispatch.leases == ()


def test_a_batch_that_is_given_up_fails_its_own_devices_alone() -> None:
    world = World(devices(20))
    rollout_id = world.create(Strategy(max_in_flight=8)).rollout.id
    (batch,) = world.advance()
    give_up(world.services, batch, "five attempts")
    states = [update.state for update in world.updates(rollout_id)]
    assert states == [DeviceState.FAILED] * 8 + [DeviceState.QUEUED] * 12


def test_a_batch_of_a_cancelled_rollout_that_is_given_up_fails_no_device() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    commands.cancel(world.services, rollout_id, ADA)
    give_up(world.services, batch, "five attempts")
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.CANCELLED}


def test_the_log_line_of_a_batch_that_is_given_up_has_the_fields_of_its_alert(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    give_up(world.services, batch, "five attempts")
    lines: list[Any] = [item for item in caplog.records if item.levelno == logging.ERROR]
    assert [(line.event, line.rolloutId, line.batch) for line in lines] == [
        ("batchGivenUp", rollout_id, batch.lease)
    ]
