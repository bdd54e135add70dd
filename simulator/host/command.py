"""Run a host in the foreground until SIGINT or SIGTERM.

Its purpose is to run this app as the Azure Functions host v4 does, through Microsoft's own Python
worker library: HTTP, timer and queue triggers, host.json, local.settings.json, function keys.
What no function of the app uses is left out: other triggers, output bindings, retry policies,
route constraints, `%SETTING%` references, admin endpoints, `functionTimeout`, CORS, streaming,
telemetry. The host refuses an app that declares any of these.

Exit codes: 0 stopped by a signal, 1 the app or its settings cannot be used, 2 the port is taken.
"""

import asyncio
import os
import signal
import sys

from simulator.host.application import HostApplication, StartedHost
from simulator.host.bindings import AppFunction, HttpTrigger, QueueTrigger, TimerTrigger
from simulator.host.errors import AppLoadError, HostError, PortTakenError
from simulator.host.options import HostOptions

_APP_UNUSABLE = 1
_PORT_TAKEN = 2


def run(options: HostOptions) -> int:
    """Run a host until a signal stops it; return the exit code.

    Prints the functions to stdout, then a line that begins with `host ready` and has the URL.
    Ends the process itself, with code 0, if a function still runs after the grace time.
    """
    try:
        finished = asyncio.run(_serve(options))
    except HostError as error:
        _print_error(error)
        return _PORT_TAKEN if isinstance(error, PortTakenError) else _APP_UNUSABLE
    if not finished:
        _end_process()
    return 0


async def _serve(options: HostOptions) -> bool:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    application = HostApplication(options)
    _print_start(await application.start())
    await stop.wait()
    return await application.stop()


def _print_start(started: StartedHost) -> None:
    print("Functions:" if started.functions else "No functions found.")
    for function in started.functions:
        print(f"  {function.name}: {describe(function, started.url)}")
    for name, value in started.generated_keys.items():
        print(f"key {name}: {value}")
    print(f"host ready {started.url}", flush=True)


def describe(function: AppFunction, url: str) -> str:
    """Return what triggers a function, in a line: verbs and URL, schedule, or queue."""
    match function.trigger:
        case HttpTrigger(methods=methods, template=template):
            text = f"[{','.join(sorted(methods or {'any verb'}))}] {url}/{template.text.strip('/')}"
        case TimerTrigger(text=schedule):
            text = f"timer {schedule}"
        case QueueTrigger(queue=queue):
            text = f"queue {queue}"
    return f"{text} (disabled)" if function.disabled else text


def _print_error(error: HostError) -> None:
    if isinstance(error, AppLoadError) and error.stack_trace:
        print(error.stack_trace.rstrip(), file=sys.stderr)
    print(f"error: {error}", file=sys.stderr, flush=True)


def _end_process() -> None:
    """End the process at once: a normal exit waits for threads that run functions."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
