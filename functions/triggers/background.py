"""The timer that advances rollouts, and the queues of batches, failed batches and deliveries.

The request that creates a rollout starts its first devices if the rollout is not too large
(`use_cases.submit`); the timer leases all other devices.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func

from functions import wiring
from functions.dispatch_queue import messages
from functions.dispatch_queue.storage_queue import (
    DELIVERY_QUEUE,
    MAX_DEQUEUE_COUNT,
    POISON_QUEUE,
    QUEUE,
)
from functions.errors import (
    NewerSchemaError,
    SettingsError,
    TableMissingError,
    UnavailableError,
)
from functions.settings.environment import read_advance_schedule
from functions.settings.names import STORAGE
from functions.triggers.own_threads import MAX_MESSAGES, OwnThreads
from functions.use_cases.advance import advance
from functions.use_cases.deliver import deliver
from functions.use_cases.dispatch import dispatch, give_up

blueprint = func.Blueprint()

# How long a message of a newer release waits until a host receives it again. A lease lasts longer,
# so that a host of the newer release can still use it.
NEWER_RELEASE_DELAY_SECONDS = 20.0

_log = logging.getLogger(__name__)
# Receivers of deliveries may be slow, and must not delay batches.
_batch_threads = OwnThreads("batch", MAX_MESSAGES)
_delivery_threads = OwnThreads("delivery", MAX_MESSAGES)


@blueprint.timer_trigger(arg_name="timer", schedule=read_advance_schedule(), use_monitor=False)
def advance_rollouts(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's binding
    telemetry = wiring.telemetry()
    try:
        with telemetry.tick(), telemetry.invocation("advance_rollouts", "timer"):
            advance(wiring.services())
    except Exception as error:
        fields = {"event": "tickFailed", "errorType": type(error).__name__}
        _log.error("the tick failed; the next one repeats it", extra=fields)
        if isinstance(error, TableMissingError):
            _log.critical("no rollout goes on: %s", error, extra={"event": "tableMissing"})
        wiring.last_calls().tick.record(responded=False)
        raise
    wiring.last_calls().tick.record(responded=True)


@blueprint.queue_trigger(arg_name="msg", queue_name=QUEUE, connection=STORAGE)
async def dispatch_batch(msg: func.QueueMessage, context: func.Context) -> None:
    await _batch_threads.run(context, _dispatch_batch, msg)


@blueprint.queue_trigger(arg_name="msg", queue_name=DELIVERY_QUEUE, connection=STORAGE)
async def deliver_events(msg: func.QueueMessage, context: func.Context) -> None:
    """Deliver events to a webhook. A message that the host gives up is queued by a later sweep."""
    await _delivery_threads.run(context, _deliver_events, msg)


@blueprint.queue_trigger(arg_name="msg", queue_name=POISON_QUEUE, connection=STORAGE)
async def give_up_batch(msg: func.QueueMessage, context: func.Context) -> None:
    """Fail the devices of a batch whose message the host delivered too often."""
    await _batch_threads.run(context, _give_up_batch, msg)


def _dispatch_batch(msg: func.QueueMessage) -> None:
    traced = wiring.telemetry().invocation("dispatch_batch", "pubsub")
    with _left_to_newer_release(QUEUE, msg), traced:
        batch = messages.from_bytes(msg.get_body())
        try:
            services = wiring.services()
        except (SettingsError, UnavailableError) as error:
            # An error that is raised brings the message closer to the poison queue.
            _log.warning("batch %s is dropped and will be leased again: %s", batch, error)
            return
        dispatch(services, batch)


def _deliver_events(msg: func.QueueMessage) -> None:
    with _left_to_newer_release(DELIVERY_QUEUE, msg):
        deliver(wiring.services(), messages.delivery_from_bytes(msg.get_body()))


def _give_up_batch(msg: func.QueueMessage) -> None:
    why = (
        f"The batch with this device could not be sent in {MAX_DEQUEUE_COUNT} attempts;"
        " the app's log has the error. Retry the rollout once its cause is gone."
    )
    traced = wiring.telemetry().invocation("give_up_batch", "pubsub")
    with _left_to_newer_release(POISON_QUEUE, msg), traced:
        try:
            batch = messages.from_bytes(msg.get_body())
        except ValueError:
            _log.exception("message %s of the poison queue is not a batch; it is deleted", msg.id)
            return
        give_up(wiring.services(), batch, why)


@contextmanager
def _left_to_newer_release(queue: str, msg: func.QueueMessage) -> Iterator[None]:
    """Put a message back that only a newer release can process, so that it is not poison."""
    try:
        yield
    except NewerSchemaError as error:
        _log.warning("message %s of queue %s is put back: %s", msg.id, queue, error)
        wiring.put_back(queue, msg.get_body(), NEWER_RELEASE_DELAY_SECONDS)
