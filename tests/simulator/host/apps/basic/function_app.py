# ruff: noqa: INP001, ARG001 - an app folder is no package; a trigger must be a parameter
"""HTTP and timer functions that show a test what they were given."""

import asyncio
import json
import logging
import os
import threading
import time
from pathlib import Path

import azure.functions as func

logger = logging.getLogger("app.part")
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def described(req: func.HttpRequest) -> func.HttpResponse:
    """What the function saw of a request, as JSON."""
    return func.HttpResponse(
        json.dumps(
            {
                "method": req.method,
                "url": req.url,
                "headers": dict(req.headers),
                "params": dict(req.params),
                "route": dict(req.route_params),
                "body": req.get_body().decode("latin-1"),
            }
        ),
        mimetype="application/json",
    )


@app.function_name("echo")
@app.route(route="echo/{name?}")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.function_name("echoSync")
@app.route(route="echo-sync", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def echo_sync(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.function_name("number")
@app.route(route="number/{id:int}", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
async def number(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.function_name("answer")
@app.route(route="answer", methods=["GET"])
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(
        b"\x00body", status_code=418, headers={"X-One": "1", "Content-Length": "999"}
    )
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; Max-Age=5")
    return response


@app.function_name("text")
@app.route(route="text", methods=["POST"])
async def text(req: func.HttpRequest) -> str:
    return req.get_body().decode()


@app.function_name("fail")
@app.route(route="fail/{how?}", methods=["GET"])
async def fail(req: func.HttpRequest) -> func.HttpResponse:
    match req.route_params.get("how"):
        case "none":
            return None  # type: ignore[return-value]
        case "status":
            return func.HttpResponse(status_code=42)
        case "header":
            return func.HttpResponse(headers={"X-Bad": "a\r\nX-Injected: b"})
        case "exit":
            raise SystemExit(3)
        case "cancel":
            raise asyncio.CancelledError
        case _:
            raise RuntimeError("on purpose")


@app.function_name("failSync")
@app.route(route="fail-sync", methods=["GET"])
def fail_sync(req: func.HttpRequest) -> func.HttpResponse:
    raise SystemExit(3)


@app.function_name("logs")
@app.route(route="logs", methods=["GET"])
def logs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    logger.info("from the pool thread")

    def in_own_thread() -> None:
        context.thread_local_storage.invocation_id = context.invocation_id  # type: ignore[attr-defined]
        logger.warning("from an own thread")

    own = threading.Thread(target=in_own_thread)
    own.start()
    own.join()
    return func.HttpResponse(os.environ["AZURE_FUNCTIONS_ENVIRONMENT"])


@app.function_name("sleepAsync")
@app.route(route="sleep/{seconds}", methods=["GET"])
async def sleep_async(req: func.HttpRequest) -> func.HttpResponse:
    logger.info("sleeping")
    await asyncio.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse("slept")


@app.function_name("sleepSync")
@app.route(route="sleep-sync/{seconds}", methods=["GET"])
def sleep_sync(req: func.HttpRequest) -> func.HttpResponse:
    logger.info("sleeping")
    time.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse("slept")


@app.function_name("tick")
@app.timer_trigger(schedule="%TICK_SCHEDULE%", arg_name="timer", use_monitor=False)
def tick(timer: func.TimerRequest) -> None:
    if "TICK_FILE" not in os.environ:
        return
    started = time.time()
    time.sleep(float(os.environ.get("TICK_SECONDS", "0")))
    with Path(os.environ["TICK_FILE"]).open("a") as ticks:
        ticks.write(f"{started} {time.time()} {timer.past_due}\n")
    if "TICK_FAILS" in os.environ:
        raise RuntimeError("tick failed")


@app.function_name("atStart")
@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=True)
def at_start(timer: func.TimerRequest) -> None:
    logger.info("at start, past due %s", timer.past_due)
