"""Measure rollouts to simulated fleets, on a hub that enforces the quotas of S1.

The time is compared to the minimum that the quotas allow, the CPU to that of the bare SDK's method
call. The largest fleet runs in compressed time (`--throttle-scale`); it would take ten minutes.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.rollout.forecast import quota_minimum
from functions.settings.names import OTLP_ENDPOINT
from simulator.cloud.local_cloud import LocalCloud, hub_process, run_cloud
from simulator.cloud.options import CloudOptions
from tests.bench.figures import Figure
from tests.bench.processes import Hub, program
from tests.bench.service_client import ServiceClient
from tests.bench.slow_storage import count_transactions, slow_storage
from tests.end_to_end.client import FIRMWARE, Api
from tests.end_to_end.conftest import make_options
from tests.functions.telemetry.collector import run_collector
from tests.waiting import eventually

BARE_CALLS = 300
CONNECT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A fleet and its clock."""

    devices: int
    scale: float
    """How many times faster than real time."""
    schedule: str
    """The timer's NCRONTAB schedule, scaled alike."""


# Real time has the default schedule; time compressed five times has a fifth of its interval.
MAIN = Size(devices=2_000, scale=1, schedule="*/10 * * * * *")
OTHERS = (
    Size(devices=200, scale=5, schedule="*/2 * * * * *"),
    Size(devices=10_000, scale=5, schedule="*/2 * * * * *"),
)


# Whether each run exports telemetry. The order cancels a steady change of the machine's speed. One
# run differs from the next by up to 10%, so six of each are needed to see 5%.
TELEMETRY_RUNS = (False, True, True, False) * 3
TELEMETRY = Size(devices=2_000, scale=5, schedule="*/2 * * * * *")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a rollout took."""

    seconds: float
    """From the POST to the last completion."""
    cpu_ms: float
    """CPU of the host for each device."""
    kept_ms: float
    """CPU of the bare method call with keep-alive."""
    default_ms: float
    """CPU of the bare method call with the SDK's default settings."""
    transactions: float
    """Storage transactions for each device."""
    messages: float
    """Hub messages for each device."""
    failed: int
    """Devices that failed."""
    throttled: int
    """Requests that the hub refused with 429."""


def run() -> Iterator[Figure]:
    found = _measure(MAIN)
    limits = quotas(Tier.S1, 1)
    least = quota_minimum(MAIN.devices, limits).total_seconds()
    name = f"quota-bound minimum of {MAIN.devices:,} devices on S1"
    minimum = Figure(name=name, value=least, unit="s")
    yield minimum
    name = f"POST to the last of {MAIN.devices:,} completions"
    yield Figure(name=name, value=found.seconds, unit="s", base=minimum)
    yield Figure(name="devices that failed", value=found.failed, unit="")
    yield Figure(name="requests that the hub refused (429)", value=found.throttled, unit="")
    yield Figure(name="storage transactions for each device", value=found.transactions, unit="")
    yield Figure(name="hub messages for each device", value=found.messages, unit="")
    yield from _cpu(MAIN, found)
    for size in OTHERS:
        yield from _cpu(size, _measure(size))
    yield from run_with_telemetry()


def run_with_telemetry() -> Iterator[Figure]:
    """Measure the CPU of the cloud side without and with a collector of telemetry."""
    found: dict[bool, list[float]] = {False: [], True: []}
    with run_collector() as collector:
        for is_exported in TELEMETRY_RUNS:
            endpoint = collector.endpoint if is_exported else ""
            with _environment(OTLP_ENDPOINT, endpoint):
                found[is_exported].append(_measure(TELEMETRY).cpu_ms)
    if not collector.named("device update"):
        raise RuntimeError("the collector received nothing")
    name = f"cloud side for each of {TELEMETRY.devices:,} devices, CPU"
    base = Figure(name=f"{name}, no telemetry", value=median(found[False]), unit="ms")
    yield base
    yield Figure(name=f"{name}, telemetry", value=median(found[True]), unit="ms", base=base)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _cpu(size: Size, found: Measured) -> Iterator[Figure]:
    name = f"cloud side for each of {size.devices:,} devices, CPU"
    call = "bare SDK method call"
    kept = Figure(name=f"{call}, keep-alive on, CPU", value=found.kept_ms, unit="ms")
    default = Figure(name=f"{call}, default settings, CPU", value=found.default_ms, unit="ms")
    for bare in (kept, default):
        yield bare
        yield Figure(name=name, value=found.cpu_ms, unit="ms", base=bare)


def _measure(size: Size) -> Measured:
    with _cloud(size) as (running, hub):
        api = Api(running.options)
        kept = _bare_ms(running.options, keep_alive=True)
        default = _bare_ms(running.options, keep_alive=False)
        _enforce_quotas(running, size, hub)
        before = _metrics(hub)
        transactions = count_transactions(running.options)
        process = psutil.Process(running.host.pid)
        cpu = _cpu_seconds(process)
        ended = roll_out(api, size)
        cpu = _cpu_seconds(process) - cpu
        after = _metrics(hub)
        return Measured(
            seconds=seconds_between(ended["createdAt"], ended["endedAt"]),
            cpu_ms=cpu / size.devices * 1000,
            kept_ms=kept,
            default_ms=default,
            transactions=(count_transactions(running.options) - transactions) / size.devices,
            messages=(after["messages"] - before["messages"]) / size.devices,
            failed=ended["counts"]["failed"],
            throttled=sum(after["throttled"].values()) - sum(before["throttled"].values()),
        )


@contextmanager
def _cloud(size: Size) -> Iterator[tuple[LocalCloud, Hub]]:
    """Run a cloud with its connected fleet, without quotas, so that registering is quick."""
    with TemporaryDirectory() as directory:
        options = make_options(Path(directory))
        options = replace(
            options,
            hub_state=Path(directory) / "hub.json",
            storage_access_log=True,
            storage_proxy=slow_storage(options.address),
            advance_schedule=size.schedule,
            throttle_scale=size.scale,
            quota_share="100%",
        )
        with run_cloud(options) as running:
            hub = as_hub(running)
            with connected(running, hub, size):
                yield running, hub


@contextmanager
def connected(running: LocalCloud, hub: Hub, size: Size) -> Iterator[None]:
    """Connect the fleet for the length of the block."""
    command = [
        *("simulator", "fleet", "--devices", str(size.devices), "--stage-seconds", "0"),
        *("--connection-string", hub.connection_string),
        *("--mqtt-port", str(hub.mqtt_port), "--ca", str(running.options.ca)),
    ]
    with program(*command, quiet=True):
        _wait_connected(hub, size)
        yield


def _enforce_quotas(running: LocalCloud, size: Size, hub: Hub) -> None:
    """Restart the hub with quotas, and wait until all devices are connected again."""
    limited = replace(running.options, tier="S1")
    running.hub.options = hub_process(limited)
    running.hub.restart()
    running.hub.wait_until_ready()
    _wait_connected(hub, size)
    time.sleep(15 / size.scale)  # until every bucket is full again


def _wait_connected(hub: Hub, size: Size) -> None:
    def all_there() -> bool:
        try:
            return bool(_metrics(hub)["connectedDevices"] == size.devices)
        except OSError:
            return False

    eventually(all_there, what="all devices", seconds=CONNECT_SECONDS)


def roll_out(api: Api, size: Size) -> Any:
    ids = [f"light-{number}" for number in range(1, size.devices + 1)]
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ids}}
    created = api.call("POST", "/rollouts", body)
    if created.status != 201:
        raise RuntimeError(f"the bench's POST failed: {created}")
    while True:
        time.sleep(5)  # seldom, because each read is work of the service too
        found = api.get(f"/rollouts/{created.json['id']}")
        if found["endedAt"] is not None:
            return found


def _bare_ms(options: CloudOptions, *, keep_alive: bool) -> float:
    """Return the ms of CPU of one method call with the bare SDK."""
    registry = IoTHubRegistryManager.from_connection_string(options.service_connection_string)
    registry.protocol.config.connection.verify = str(options.ca)
    registry.protocol.config.keep_alive = keep_alive
    # No device implements this method: the response is 501, and nothing starts.
    payload = {"fwPackageUri": FIRMWARE["packageUri"], "rolloutId": "bare", "attempt": 1}
    request = CloudToDeviceMethod(
        method_name="unknown", payload=payload, response_timeout_in_seconds=30
    )

    def call(number: int) -> None:
        registry.invoke_device_method(f"light-{number % 100 + 1}", request)

    for number in range(BARE_CALLS // 10):
        call(number)
    begun = time.thread_time()
    for number in range(BARE_CALLS):
        call(number)
    return (time.thread_time() - begun) / BARE_CALLS * 1000


def as_hub(running: LocalCloud) -> Hub:
    options = running.options
    return Hub(
        process=psutil.Process(running.hub.pid),
        address=options.address,
        https_port=options.hub_https_port,
        mqtt_port=options.hub_mqtt_port,
        connection_string=options.service_connection_string,
        certificates=options.local_directory,
    )


def _metrics(hub: Hub) -> Any:
    # A new connection each time, because the hub closes one that is idle during a rollout.
    client = ServiceClient(hub)
    return json.loads(client.request("GET", "/_local/metrics"))


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def seconds_between(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
