"""Compare `POST /rollouts` of one device with the same direct method, invoked by the bare SDK.

Both use the same hub and the same devices, which respond at once. CPU of the POST is that of the
whole Functions host process: HTTP, validation, a twin read, four writes to Table Storage and the
method. The timer does not run, because observing devices is not part of a POST.
"""

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from simulator.cloud.local_cloud import LocalCloud, run_cloud
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.simulated_device.device_thread import DeviceThread
from tests.bench.figures import Figure
from tests.end_to_end.conftest import make_options
from tests.end_to_end.fleet import Fleet

CALLS = 300
WARM_UP = 30
DEVICES = CALLS + WARM_UP  # one for each POST: no rollout ends, and a later one takes devices over
CLIENTS = 8
ONCE_A_YEAR = "0 0 0 1 1 *"
PACKAGE = "https://packages.example/fw-2.4.0.bin"


def run() -> Iterator[Figure]:
    with _measured_cloud() as (running, device_ids):
        bare = _bare(running.options, device_ids, keep_alive=True)
        default = _bare(running.options, device_ids, keep_alive=False)
        post = _post_cpu(running, device_ids)
        again = _bare(running.options, device_ids, keep_alive=True)
        # The mean of before and after, because the speed of a machine drifts.
        name = "bare SDK method call, keep-alive on, CPU"
        kept = Figure(name=name, value=(bare + again) / 2, unit="ms")
        name = "bare SDK method call, default settings, CPU"
        new = Figure(name=name, value=default, unit="ms", base=kept)
        yield from (kept, new)
        name = "POST /rollouts of one device, CPU of the host"
        yield Figure(name=name, value=post, unit="ms", base=kept)
        yield Figure(name=name, value=post, unit="ms", base=new)
        yield from _rates(running, device_ids)


@contextmanager
def _measured_cloud() -> Iterator[tuple[LocalCloud, list[str]]]:
    with tempfile.TemporaryDirectory() as directory:
        options = replace(make_options(Path(directory)), advance_schedule=ONCE_A_YEAR)
        with run_cloud(options) as running, DeviceThread() as thread:
            fleet = Fleet(options, thread, Registration(options))
            device_ids = [f"bench-{number}" for number in range(DEVICES)]
            for device_id in device_ids:
                fleet.start(device_id, stage_seconds=0)
            yield running, device_ids


def _bare(options: CloudOptions, device_ids: list[str], *, keep_alive: bool) -> float:
    """Return the ms of CPU of one call, of the calling thread alone."""
    call = _method_caller(options, device_ids, keep_alive=keep_alive)
    for _ in range(WARM_UP):
        call()
    begun = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - begun) / CALLS * 1000


def _method_caller(
    options: CloudOptions, device_ids: list[str], *, keep_alive: bool
) -> Callable[[], Any]:
    registry = IoTHubRegistryManager.from_connection_string(options.service_connection_string)
    registry.protocol.config.connection.verify = str(options.ca)
    registry.protocol.config.keep_alive = keep_alive
    devices = cycle(device_ids)

    def call() -> Any:
        payload = {"fwPackageUri": PACKAGE, "rolloutId": str(time.time_ns()), "attempt": 1}
        request = CloudToDeviceMethod(
            method_name="firmwareUpdate", payload=payload, response_timeout_in_seconds=30
        )
        return registry.invoke_device_method(next(devices), request)

    return call


def _post_cpu(running: LocalCloud, device_ids: list[str]) -> float:
    """Return the ms of CPU of one POST, of the whole host process."""
    post = _poster(running.options, cycle(device_ids))
    for _ in range(WARM_UP):
        post()
    process = psutil.Process(running.host.pid)
    before = process.cpu_times()
    for _ in range(CALLS):
        post()
    after = process.cpu_times()
    seconds = after.user + after.system - before.user - before.system
    return seconds / CALLS * 1000


def _poster(options: CloudOptions, devices: Iterator[str]) -> Callable[[], None]:
    connection = http.client.HTTPConnection(options.address, options.host_port, timeout=60)

    def post() -> None:
        body = {
            "firmware": {"version": "2.4.0", "packageUri": PACKAGE},
            "target": {"deviceIds": [next(devices)]},
            "strategy": {"whenAlreadyRunning": "reinstall"},
        }
        connection.request("POST", "/api/rollouts", json.dumps(body))
        response = connection.getresponse()
        created = json.loads(response.read())
        if response.status != http.HTTPStatus.CREATED or not created["devices"][0]["method"]:
            raise RuntimeError(f"the bench's POST failed: {response.status} {created}")

    return post


def _rates(running: LocalCloud, device_ids: list[str]) -> Iterator[Figure]:
    """Measure requests per second with several callers; all processes share this machine."""

    def rate(make: Callable[[], Callable[[], Any]]) -> float:
        local = threading.local()

        def one(_: int) -> None:
            if not hasattr(local, "call"):
                local.call = make()
            local.call()

        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(one, range(WARM_UP)))
            begun = time.perf_counter()
            list(threads.map(one, range(CALLS)))
            return CALLS / (time.perf_counter() - begun)

    options = running.options
    calls = rate(lambda: _method_caller(options, device_ids, keep_alive=True))
    devices = cycle(device_ids)  # shared: no two callers roll out to one device at once
    posts = rate(lambda: _poster(options, devices))
    name = f"bare SDK method calls, {CLIENTS} callers"
    bare = Figure(name=name, value=calls, unit="/s")
    yield bare
    yield Figure(name=f"POST /rollouts, {CLIENTS} callers", value=posts, unit="/s", base=bare)
