# ruff: noqa: INP001, ARG001 - an app folder is no package; a trigger must be a parameter
"""HTTP and timer functions that return or log what they received."""

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


def describe(req: func.HttpRequest) -> func.HttpResponse:
    """Return what the function received of a request, as JSON."""
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
@app.route(route="echo")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.function_name("echoName")
@app.route(route="echo/{name}")
async def echo_name(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.function_name("echoSync")
@app.route(route="echo-sync", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def echo_sync(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.function_name("teapot")
@app.route(route="teapot", methods=["GET"])
async def teapot(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(
        b"\x00body", status_code=418, headers={"X-One": "1", "Content-Length": "999"}
    )


@app.function_name("fail")
@app.route(route="fail/{how}", methods=["GET"])
async def fail(req: func.HttpRequest) -> func.HttpResponse:
    match req.route_params["how"]:
        case "cookie":
            response = func.HttpResponse()
            response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
            return response
        case "text":
            return "not a response"  # type: ignore[return-value]
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
@app.timer_trigger(schedule=os.environ["TICK_SCHEDULE"], arg_name="timer", use_monitor=False)
def tick(timer: func.TimerRequest) -> None:
    if "TICK_FILE" not in os.environ:
        return
    started = time.time()
    time.sleep(float(os.environ.get("TICK_SECONDS", "0")))
    with Path(os.environ["TICK_FILE"]).open("a") as ticks:
        ticks.write(f"{started} {time.time()} {timer.past_due}\n")
    if "TICK_FAILS" in os.environ:
        raise RuntimeError("tick failed")
