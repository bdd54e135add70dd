# ruff: noqa: INP001 - an app folder is no package
"""A queue function that writes down what it received."""

import json
import os
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()


@app.function_name("work")
@app.queue_trigger(arg_name="msg", queue_name="work", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage) -> None:
    text = msg.get_body().decode()
    if text == "fail" or (text == "fail once" and msg.dequeue_count == 1):
        raise RuntimeError(f"{text} at {msg.dequeue_count}")
    times = (msg.insertion_time, msg.expiration_time, msg.time_next_visible)
    inserted, expires, next_visible = (at.isoformat() for at in times if at is not None)
    received = {
        "text": text,
        "id": msg.id,
        "dequeueCount": msg.dequeue_count,
        "popReceipt": msg.pop_receipt,
        "inserted": inserted,
        "expires": expires,
        "nextVisible": next_visible,
    }
    with Path(os.environ["RECEIVED_FILE"]).open("a") as file:
        file.write(f"{json.dumps(received)}\n")
