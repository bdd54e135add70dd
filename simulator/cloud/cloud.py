"""The local cloud as a whole: its parts start together and end in reverse order."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from simulator.cloud import ports, storage
from simulator.cloud.guard import Guard
from simulator.cloud.options import CloudOptions
from simulator.cloud.part import START_SECONDS, Part, PartOptions

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalCloud:
    """The running parts."""

    def __init__(self, options: CloudOptions, storage: Part, hub: Part, host: Part) -> None:
        """Take over parts that are ready."""
        self.options = options
        self.storage = storage
        self.hub = hub
        self.host = host

    def check(self) -> None:
        """Raises PartError if a part has ended."""
        for part in (self.storage, self.hub, self.host):
            part.check()


@contextmanager
def running(options: CloudOptions) -> Iterator[LocalCloud]:
    """A local cloud for the length of a `with` block.

    Raises PortTakenError before anything starts, and PartError.
    """
    ports.check(options)
    _make_folders(options)
    with ExitStack() as stack:
        guard = Guard()
        stack.callback(guard.close)
        # No part waits for another: each one tries again until those it needs answer.
        parts = []
        for part_options in (_storage(options), hub_part(options), _host(options)):
            part = Part(part_options, guard)
            stack.callback(part.stop)
            parts.append(part)
        deadline = time.monotonic() + START_SECONDS
        for part in parts:
            part.wait_until_ready(deadline - time.monotonic())
        yield LocalCloud(options, *parts)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the `with` blocks inside as Ctrl-C does.

    Raises KeyboardInterrupt from wherever the program is. Only the first signal counts: a second
    one must not cut short the stopping of what runs.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _make_folders(options: CloudOptions) -> None:
    options.logs.mkdir(parents=True, exist_ok=True)
    if not options.keep_data:
        with suppress(FileNotFoundError):
            shutil.rmtree(options.azurite.location)


def _storage(options: CloudOptions) -> PartOptions:
    return PartOptions(
        name="Azurite",
        command=storage.command(options.azurite),
        ready=storage.READY,
        log=options.logs / "storage.log",
        environment={},
    )


def hub_part(options: CloudOptions) -> PartOptions:
    return PartOptions(
        name="the hub",
        command=[
            *_simulator("hub"),
            *("--address", options.address),
            *("--https-port", str(options.hub_https_port)),
            *("--mqtt-port", str(options.hub_mqtt_port)),
            *("--certificates", str(options.local_directory)),
            *(("--state", str(options.hub_state)) if options.hub_state else ()),
            *(("--tier", options.tier) if options.tier else ()),
            *("--throttle-scale", str(options.throttle_scale)),
        ],
        ready="hub ready",
        log=options.logs / "hub.log",
        environment={},
    )


def _host(options: CloudOptions) -> PartOptions:
    return PartOptions(
        name="the Functions host",
        command=[
            *_simulator("host"),
            *("--address", options.address),
            *("--port", str(options.host_port)),
            *("--app-directory", str(options.app_directory)),
        ],
        ready="host ready",
        log=options.logs / "host.log",
        environment={
            "IOTHUB_CONNECTION_STRING": options.service_connection_string,
            "AzureWebJobsStorage": options.azurite.connection_string,
            "ROLLOUT_ADVANCE_SCHEDULE": options.advance_schedule,
            "IOTHUB_TIER": options.tier or "S1",
            "IOTHUB_THROTTLE_SCALE": str(options.throttle_scale),
            "ROLLOUT_QUOTA_SHARE": options.quota_share,
            # The service SDK rests on requests, which reads its authorities from here.
            "REQUESTS_CA_BUNDLE": str(options.ca),
            # As local.settings.json.sample has it: a method that waits holds a thread.
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
        },
    )


def _simulator(command: str) -> list[str]:
    return [sys.executable, "-m", "simulator", command]
