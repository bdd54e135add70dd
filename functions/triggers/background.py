"""The timer that advances rollouts, and the queue that carries batches to be sent.

The timer hands out all work but that of small rollouts, which their own request starts.
"""

import os
from typing import List  # noqa: UP035 - the worker does not know Out[list[str]]

import azure.functions as func

from functions import wiring
from functions.settings import STORAGE
from functions.triggers import batch_message
from functions.use_cases.advance import advance
from functions.use_cases.dispatch import dispatch

blueprint = func.Blueprint()

QUEUE = "rollout-dispatch"
SCHEDULE = os.environ.get("ROLLOUT_ADVANCE_SCHEDULE") or "*/10 * * * * *"


@blueprint.timer_trigger(arg_name="timer", schedule=SCHEDULE, use_monitor=False)
@blueprint.queue_output(arg_name="batches", queue_name=QUEUE, connection=STORAGE)
def advance_rollouts(timer: func.TimerRequest, batches: func.Out[List[str]]) -> None:  # noqa: UP006, ARG001
    handed_out = advance(wiring.services())
    if handed_out:
        batches.set([batch_message.to_text(batch) for batch in handed_out])


@blueprint.queue_trigger(arg_name="msg", queue_name=QUEUE, connection=STORAGE)
def dispatch_batch(msg: func.QueueMessage) -> None:
    dispatch(wiring.services(), batch_message.from_bytes(msg.get_body()))
