"""Run the command `up`: the local cloud, kept running until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

from simulator.cloud.connected_devices import (
    CloudDevice,
    allow_devices,
    check_device_port,
    connect_devices,
    device_ids,
    simulated_device_factory,
)
from simulator.cloud.errors import CloudError
from simulator.cloud.failing_devices import FAILURE, choose_failing
from simulator.cloud.guide import SAMPLE_FIRMWARE, Json, guide
from simulator.cloud.installing_devices import installing_device_factory
from simulator.cloud.local_cloud import run_cloud, stop_on_signals
from simulator.cloud.options import CloudOptions, UpOptions
from simulator.cloud.registration import Registration
from simulator.cloud.sample_release import make_release, publish_release
from simulator.simulated_device.log import log_to_stdout, quiet_sdk
from simulator.simulated_device.simulated_updates import UpdateSettings

_CHECK_SECONDS = 0.5
_PACKAGE_VALID_FOR = timedelta(days=1)


def run(options: UpOptions) -> int:
    """Keep the cloud running; return 0 if a signal stops it, else the error's exit code."""
    try:
        with stop_on_signals():
            _keep_up(options)
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped")
    return 0


def _keep_up(options: UpOptions) -> None:
    # Beside the storage: rollouts of an earlier run know devices that the hub still knows.
    options = replace(options, cloud=_with_hub_state(options.cloud))
    if options.devices:
        check_device_port(options.cloud)
    allow_devices(options.devices, installing=options.install)
    quiet_sdk()
    print(
        "starting the local cloud: about 10 s; it keeps its data, usually less than 50 MB, in "
        f"{options.cloud.local_directory} ...",
        flush=True,
    )
    ids = device_ids(options.devices)
    with ExitStack() as stack:
        local_cloud = stack.enter_context(run_cloud(options.cloud))
        firmware, make = _firmware_and_devices(options)
        stack.enter_context(connect_devices(Registration(options.cloud), ids, make))
        print(guide(options, ids, firmware), flush=True)
        log_to_stdout()
        while True:
            local_cloud.check()
            time.sleep(_CHECK_SECONDS)


def _with_hub_state(cloud: CloudOptions) -> CloudOptions:
    return replace(cloud, hub_state=cloud.hub_state or cloud.local_directory / "hub-state.db")


def _firmware_and_devices(options: UpOptions) -> tuple[Json, Callable[[str], CloudDevice]]:
    """Return the firmware of a first rollout, and a factory of the devices."""
    if not options.install:
        settings = UpdateSettings(stage_delay=timedelta(seconds=options.stage_seconds))
        ids = device_ids(options.devices)
        make = simulated_device_factory(
            options.cloud, settings, choose_failing(ids, options.fail), FAILURE
        )
        return SAMPLE_FIRMWARE, make
    release = make_release(str(SAMPLE_FIRMWARE["version"]))
    make = installing_device_factory(options.cloud, "devices", release, options.stage_seconds)
    return publish_release(options.cloud, release, _PACKAGE_VALID_FOR), make
