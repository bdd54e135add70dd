"""Run the command `demo`: one rollout from POST to completed devices, on a local cloud."""

import time
from contextlib import ExitStack
from datetime import timedelta

from rich.console import Console

from simulator.cloud.bad_firmware import show_bad_firmware
from simulator.cloud.connected_devices import (
    allow_devices,
    check_device_port,
    connect_devices,
    device_ids,
)
from simulator.cloud.demo_results import show_results
from simulator.cloud.demo_steps import step, thermostats_of
from simulator.cloud.errors import CloudError
from simulator.cloud.installing_devices import installing_device_factory
from simulator.cloud.local_cloud import LocalCloud, run_cloud, stop_on_signals
from simulator.cloud.options import DemoOptions
from simulator.cloud.progress import progress
from simulator.cloud.registration import Registration
from simulator.cloud.rollout_service import Json, RolloutService
from simulator.cloud.sample_release import make_release, publish_release
from simulator.simulated_device.log import quiet_sdk

_VERSION = "2.4.0"
_POLL_SECONDS = 0.25
_TIMEOUT = "PT2M"
# The rollout itself ends after its timeouts; this limit ends the demo if the service fails.
_MAX_SECONDS = 600.0
_ENDED = ("completed", "failed", "cancelled")

_NOT_COMPLETED = 1
_INTERRUPTED = 130

_INTRODUCTION = """\
Fleet Rollout: new firmware for {devices}, from an HTTP POST to completed
devices, on this machine and without an Azure account.

Instead of Azure: Azurite stores blobs, tables and queues; a local hub speaks
IoT Hub's REST and MQTT; a local Functions host runs the rollout service,
function_app.py. The thermostats use Microsoft's own device SDK: they download the
package, check its signature and SHA-256, write it to their other slot and restart
into it. Only their boot loader, restart and health check are simulated.

This takes about 20 seconds and less than 10 MB in .local.
"""


def run(options: DemoOptions) -> int:
    """Run the demo; return 0 if every device completed.

    Otherwise 1; 2 for a taken port, 130 if interrupted.
    """
    console = Console(highlight=False)
    quiet_sdk()
    try:
        with stop_on_signals():
            if options.story == "bad":
                return 0 if show_bad_firmware(options, console) else _NOT_COMPLETED
            ended = _show(options, console)
    except CloudError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        return _INTERRUPTED
    return 0 if ended["status"] == "completed" else _NOT_COMPLETED


def new_rollout(ids: list[str], firmware: Json) -> Json:
    """Return the body of the POST."""
    return {
        "firmware": firmware,
        "target": {"deviceIds": ids},
        "strategy": {"timeout": _TIMEOUT},
        "labels": {"startedBy": "make demo"},
    }


def _show(options: DemoOptions, console: Console) -> Json:
    """Run every step and print it; return the rollout as it ended."""
    check_device_port(options.cloud)
    allow_devices(options.device_count, installing=True)
    thermostats = thermostats_of(options.device_count)
    console.print(_INTRODUCTION.format(devices=thermostats))
    ids = device_ids(options.device_count)
    with ExitStack() as stack:
        with step(console, "1  Start the local cloud"):
            local_cloud = stack.enter_context(run_cloud(options.cloud))
        registration = Registration(options.cloud)
        firmware = _connect(options, ids, registration, stack, console)
        ended = _roll_out(local_cloud, new_rollout(ids, firmware), console)
        show_results(console, ended, registration.twin(ids[0]), options.cloud)
        with step(console, "9  Stop everything that was started"):
            stack.close()
    completed = ended["counts"]["completed"]
    console.print(f"\n{ended['status']}: {completed} of {thermostats} run {_VERSION}")
    return ended


def _connect(
    options: DemoOptions,
    ids: list[str],
    registration: Registration,
    stack: ExitStack,
    console: Console,
) -> Json:
    """Connect the devices until `stack` is closed; return the firmware for them."""
    release = make_release(_VERSION)
    with step(console, f"2  Register and connect {thermostats_of(len(ids))}"):
        make = installing_device_factory(
            options.cloud, "devices-demo", release, options.stage_seconds
        )
        stack.enter_context(connect_devices(registration, ids, make))
    with step(console, f"3  Publish firmware {_VERSION}, signed, in Blob Storage"):
        return publish_release(options.cloud, release, timedelta(seconds=_MAX_SECONDS))


def _roll_out(local_cloud: LocalCloud, wanted: Json, console: Console) -> Json:
    """Create the rollout and show its devices until it has ended."""
    service = RolloutService(local_cloud.options.api_url)
    with step(console, f"4  POST {local_cloud.options.api_url}/rollouts, firmware {_VERSION}"):
        rollout = service.create(wanted)
    for update in rollout.get("devices", []):
        method = update.get("method") or {}
        console.print(
            f"   {update['deviceId']} responded {method.get('status')} {method.get('payload')}"
        )
    console.print(f"5  Rollout {rollout['id']}, device by device:")
    return _follow(local_cloud, service, rollout["id"], console)


def _follow(
    local_cloud: LocalCloud, service: RolloutService, rollout_id: str, console: Console
) -> Json:
    deadline = time.monotonic() + _MAX_SECONDS
    with progress(console) as display:
        while True:
            # The rollout first: devices that are read after its end have their last state.
            rollout = service.rollout(rollout_id)
            display.show(service.device_updates(rollout_id))
            if rollout["status"] in _ENDED:
                return rollout
            local_cloud.check()
            if time.monotonic() > deadline:
                raise CloudError(f"the rollout had not ended after {_MAX_SECONDS / 60:g} min")
            time.sleep(_POLL_SECONDS)
