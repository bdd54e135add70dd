"""Check what the timer and the queue of batches do when the app cannot work."""

import asyncio
import logging
from typing import Any, cast

import azure.functions as func
import pytest

from functions import wiring
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.errors import (
    FleetRolloutError,
    HubUnavailableError,
    SettingsError,
    StorageUnavailableError,
    TableMissingError,
)
from functions.last_calls import PartState
from functions.rollouts.model.rollout import RolloutStatus
from functions.triggers import background
from tests.functions.triggers.routing import CONTEXT
from tests.functions.use_cases.world import World, devices


@pytest.mark.parametrize(
    ("error", "is_alarm"),
    [(TableMissingError("gone"), True), (StorageUnavailableError("x"), False)],
)
def test_a_missing_table_is_an_alarm_in_the_log(
    error: Exception,
    is_alarm: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(wiring, "services", refuse)
    tick = cast("Any", background.advance_rollouts)
    function = tick.build().get_user_function() if hasattr(tick, "build") else tick
    with caplog.at_level(logging.CRITICAL), pytest.raises(type(error)):
        function(None)
    assert wiring.last_calls().tick.state() is PartState.FAILING
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL] * is_alarm


@pytest.mark.parametrize(
    "error",
    [SettingsError("ROLLOUT_RETENTION"), StorageUnavailableError("503"), HubUnavailableError("x")],
)
def test_a_batch_fails_no_device_because_a_new_instance_cannot_open_its_services(
    error: FleetRolloutError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that the message does not come back, so that it never gets to the poison queue."""
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()

    def refuse() -> None:
        raise error

    monkeypatch.setattr(wiring, "services", refuse)
    take_message(batch)
    world.pass_time(seconds=61)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 20)
    assert not any(item.attempts_used for item in world.updates(rollout_id))


def take_message(batch: Batch) -> None:
    declared = cast("Any", background.dispatch_batch)
    built = declared.build() if hasattr(declared, "build") else declared
    message = func.QueueMessage(body=messages.to_text(batch).encode())
    asyncio.run(built.get_user_function()(message, CONTEXT))
