"""The command `demo`: one rollout from POST to completed devices, on a local cloud."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from rich.console import Console

from simulator.cloud import cloud
from simulator.cloud.cloud import LocalCloud
from simulator.cloud.connected_devices import (
    allow_devices,
    check_device_port,
    connected_devices,
    device_ids,
)
from simulator.cloud.demo_results import show_results
from simulator.cloud.errors import CloudError
from simulator.cloud.installing_devices import installing_device
from simulator.cloud.options import DemoOptions
from simulator.cloud.progress import progress
from simulator.cloud.registration import Registration
from simulator.cloud.release import new_release, published
from simulator.cloud.rollout_service import Json, RolloutService
from simulator.simulated_device.log import quiet_sdk

_VERSION = "2.4.0"
_POLL_SECONDS = 0.25
_TIMEOUT = "PT2M"
# The rollout gives up on stragglers itself; this is for a rollout service that does not.
_LONGEST_SECONDS = 600.0
_ENDED = ("completed", "failed", "cancelled")

_NOT_COMPLETED = 1
_INTERRUPTED = 130

_INTRODUCTION = """\
Fleet Rollout: new firmware for {devices}, the whole way from an HTTP
POST to completed devices, on this machine and without an Azure account.

Standing in for Azure: Azurite keeps blobs, tables and queues; a small IoT Hub
speaks with service and devices as the real one does; a Functions host runs the
rollout service, function_app.py. The thermostats run on Microsoft's own device
SDK: they download the package, check its signature and its SHA-256, write it to
their other slot and restart into it. Pretended are their bootloader, the restart and
the health check.
"""


def run(options: DemoOptions) -> int:
    """Show it; 0 if every device completed, 1 if not, 2 for a taken port, 130 if interrupted."""
    console = Console(highlight=False)
    quiet_sdk()
    try:
        with cloud.stopped_by_signals():
            ended = _show(options, console)
    except CloudError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        return _INTERRUPTED
    return 0 if ended["status"] == "completed" else _NOT_COMPLETED


def new_rollout(ids: list[str], firmware: Json) -> Json:
    """The body of the demo's POST."""
    return {
        "firmware": firmware,
        "target": {"deviceIds": ids},
        "strategy": {"timeout": _TIMEOUT},
        "labels": {"startedBy": "make demo"},
    }


def _show(options: DemoOptions, console: Console) -> Json:
    check_device_port(options.cloud)
    allow_devices(options.devices, installing=True)
    console.print(_INTRODUCTION.format(devices=_thermostats(options.devices)))
    ids = device_ids(options.devices)
    release = new_release(_VERSION)
    with ExitStack() as stack:
        with _step(console, "1  Starting the local cloud"):
            local_cloud = stack.enter_context(cloud.running(options.cloud))
        registration = Registration(options.cloud)
        with _step(console, f"2  Registering and switching on {_thermostats(options.devices)}"):
            make = installing_device(options.cloud, "devices-demo", release, options.stage_seconds)
            stack.enter_context(connected_devices(registration, ids, make))
        with _step(console, f"3  Publishing firmware {_VERSION}, signed, in Blob Storage"):
            firmware = published(options.cloud, release, timedelta(seconds=_LONGEST_SECONDS))
        ended = _roll_out(local_cloud, new_rollout(ids, firmware), console)
        show_results(console, ended, registration.twin(ids[0]), options.cloud)
        with _step(console, "9  Stopping everything that was started"):
            stack.close()
    completed = ended["counts"]["completed"]
    console.print(f"\n{ended['status']}: {completed} of {_thermostats(len(ids))} run {_VERSION}")
    return ended


def _roll_out(local_cloud: LocalCloud, wanted: Json, console: Console) -> Json:
    service = RolloutService(local_cloud.options.api_url)
    with _step(console, f"4  POST {local_cloud.options.api_url}/rollouts  firmware {_VERSION}"):
        rollout = service.create(wanted)
    for update in rollout.get("devices", []):
        method = update.get("method") or {}
        console.print(
            f"   {update['deviceId']} answered {method.get('status')} {method.get('payload')}"
        )
    console.print(f"5  Rollout {rollout['id']}, device by device:")
    deadline = time.monotonic() + _LONGEST_SECONDS
    with progress(console) as display:
        while True:
            # The rollout first: the devices read after its end are those it ended with.
            rollout = service.rollout(rollout["id"])
            display.show(service.device_updates(rollout["id"]))
            if rollout["status"] in _ENDED:
                return rollout
            local_cloud.check()
            if time.monotonic() > deadline:
                raise CloudError(f"the rollout had not ended after {_LONGEST_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)


def _thermostats(count: int) -> str:
    return "1 thermostat" if count == 1 else f"{count} thermostats"


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    console.print(f"{what} ... ", end="")
    yield
    console.print(f"{time.monotonic() - began:.1f} s")
