"""Every trigger and binding that the host tests look at."""

import asyncio
import json
import logging
import os
import time
import typing
from pathlib import Path

import azure.functions as func

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
@app.route(route="echo-sync", methods=["GET", "POST"], auth_level="anonymous")
def echo_sync(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.function_name("tick")
@app.timer_trigger(schedule="%TICK_SCHEDULE%", arg_name="timer", use_monitor=False)
async def tick(timer: func.TimerRequest) -> None:
    with Path(os.environ["TICK_FILE"]).open("a") as ticks:
        ticks.write(f"{time.time()} {timer.past_due}\n")
