# ruff: noqa: INP001, UP006 - an app folder is no package; the worker knows typing.List only
"""Queue triggers and outputs, chained so that a test sees on the last queue what happened."""

import json
import typing

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.function_name("send")
@app.route(route="send", methods=["POST"])
@app.queue_output(arg_name="messages", queue_name="%WORK_QUEUE%", connection="Storage")
async def send(req: func.HttpRequest, messages: func.Out[typing.List[str]]) -> func.HttpResponse:
    messages.set([str(item) for item in req.get_json()])
    return func.HttpResponse(status_code=202)


@app.function_name("sendText")
@app.route(route="send-text", methods=["POST"])
@app.queue_output(arg_name="message", queue_name="results", connection="")
def send_text(req: func.HttpRequest, message: func.Out[str]) -> func.HttpResponse:
    message.set(req.get_body().decode())
    if req.params.get("raise"):
        raise RuntimeError("after the message was set")
    return func.HttpResponse(status_code=202)


@app.function_name("work")
@app.queue_trigger(arg_name="msg", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="result", queue_name="results", connection="Storage")
async def work(msg: func.QueueMessage, result: func.Out[str]) -> None:
    text = msg.get_body().decode()
    if text == "fail" or (text == "fail once" and msg.dequeue_count == 1):
        raise RuntimeError(f"{text} at {msg.dequeue_count}")
    if text == "bad output":
        text = "x" * 100_000  # more than a message can hold
    times = (msg.insertion_time, msg.expiration_time, msg.time_next_visible)
    inserted, expires, next_visible = (at.isoformat() for at in times if at is not None)
    result.set(
        json.dumps(
            {
                "text": text,
                "id": msg.id,
                "dequeueCount": msg.dequeue_count,
                "popReceipt": msg.pop_receipt,
                "inserted": inserted,
                "expires": expires,
                "nextVisible": next_visible,
            }
        )
    )
