"""Run the local cloud: its processes start together and stop in reverse order."""

import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from simulator.cloud import azurite_program, ports
from simulator.cloud.child_process import START_SECONDS, ChildProcess, ChildProcessOptions
from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions
from simulator.cloud.reaper import Reaper
from simulator.storage_proxy import program as storage_proxy

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalCloud:
    """The processes of a running local cloud."""

    def __init__(
        self,
        options: CloudOptions,
        storage: ChildProcess,
        hub: ChildProcess,
        host: ChildProcess,
        *others: ChildProcess,
    ) -> None:
        self.options = options
        self.storage = storage
        self.hub = hub
        self.host = host
        self._others = others

    def check(self) -> None:
        """Raise ProcessError if a process has ended."""
        for process in (self.storage, self.hub, self.host, *self._others):
            process.check()


@contextmanager
def run_cloud(options: CloudOptions) -> Iterator[LocalCloud]:
    """Run a local cloud for the length of a `with` block.

    Raises PortTakenError before anything starts, and ProcessError.
    """
    ports.check(options)
    with ExitStack() as stack:
        stack.enter_context(_lock(options))
        _make_folders(options)
        reaper = Reaper()
        stack.callback(reaper.close)
        # No process waits for another: each retries until those that it needs respond.
        processes = []
        for process_options in (
            _storage_process(options),
            hub_process(options),
            _host_process(options),
            *_proxy_processes(options),
        ):
            process = ChildProcess(process_options, reaper)
            stack.callback(process.stop)
            processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        for process in processes:
            process.wait_until_ready(deadline - time.monotonic())
        yield LocalCloud(options, *processes)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the `with` blocks inside, as Ctrl-C does.

    The first signal raises KeyboardInterrupt. Later signals are ignored, because they must not
    interrupt the stopping.
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


@contextmanager
def _lock(options: CloudOptions) -> Iterator[None]:
    """Keep the folder for this cloud. Raises CloudError if another one has it."""
    options.local_directory.mkdir(parents=True, exist_ok=True)
    with (options.local_directory / "cloud.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CloudError(
                f"another local cloud uses {options.local_directory}: stop it, or choose another "
                "address, such as FLEET_ADDRESS=127.0.0.2, or another --local-directory"
            ) from None
        yield


def _make_folders(options: CloudOptions) -> None:
    options.logs.mkdir(parents=True, exist_ok=True)
    if not options.keep_data:
        with suppress(FileNotFoundError):
            shutil.rmtree(options.azurite.location)


def _storage_process(options: CloudOptions) -> ChildProcessOptions:
    return ChildProcessOptions(
        name="Azurite",
        command=azurite_program.command(options.azurite),
        ready=azurite_program.READY,
        log=options.logs / "storage.log",
        environment={},
    )


def _proxy_processes(options: CloudOptions) -> Sequence[ChildProcessOptions]:
    if options.storage_proxy is None:
        return ()
    proxy = ChildProcessOptions(
        name="the storage proxy",
        command=storage_proxy.command(options.storage_proxy, options.azurite),
        ready=storage_proxy.READY,
        log=options.logs / "storage-proxy.log",
        environment={},
    )
    return (proxy,)


def hub_process(options: CloudOptions) -> ChildProcessOptions:
    """Return the options of the hub's process."""
    return ChildProcessOptions(
        name="the hub",
        command=[
            *_simulator("hub"),
            *("--address", options.address),
            *("--https-port", str(options.hub_https_port)),
            *("--mqtt-port", str(options.hub_mqtt_port)),
            *("--certificates", str(options.local_directory)),
            *(("--state", str(options.hub_state)) if options.hub_state else ()),
            *(("--tier", options.tier, "--units", str(options.units)) if options.tier else ()),
            *("--throttle-scale", str(options.throttle_scale)),
        ],
        ready="hub ready",
        log=options.logs / "hub.log",
        environment={},
    )


def _host_process(options: CloudOptions) -> ChildProcessOptions:
    return ChildProcessOptions(
        name="the Functions host",
        command=[
            *_simulator("host"),
            *("--address", options.address),
            *("--port", str(options.host_port)),
            *("--app-directory", str(options.app_directory)),
        ],
        ready="host ready",
        log=options.logs / "host.log",
        environment=_host_environment(options),
    )


def _host_environment(options: CloudOptions) -> dict[str, str]:
    return {
        "IOTHUB_CONNECTION_STRING": options.service_connection_string,
        "AzureWebJobsStorage": options.storage_connection_string,
        "ROLLOUT_OUTBOUND_ADDRESSES": "loopback",
        "ROLLOUT_PACKAGE_STORAGE": options.azurite.connection_string,
        "ROLLOUT_ADVANCE_SCHEDULE": options.advance_schedule,
        "IOTHUB_TIER": options.tier or options.assumed_tier or "S1",
        "IOTHUB_UNITS": str(options.units),
        "IOTHUB_THROTTLE_SCALE": str(options.throttle_scale),
        "ROLLOUT_QUOTA_SHARE": options.quota_share,
        # The service SDK uses requests, which reads its authorities from here.
        "REQUESTS_CA_BUNDLE": str(options.ca),
    }


def _simulator(command: str) -> list[str]:
    return [sys.executable, "-m", "simulator", command]
