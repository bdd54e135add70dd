"""The command `up`: the local cloud, kept running until Ctrl-C."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

from simulator.cloud import cloud
from simulator.cloud.connected_devices import (
    CloudDevice,
    allow_devices,
    check_device_port,
    connected_devices,
    device_ids,
    simulated_device_factory,
)
from simulator.cloud.errors import CloudError
from simulator.cloud.installing_devices import installing_device
from simulator.cloud.options import CloudOptions, UpOptions
from simulator.cloud.registration import Registration
from simulator.cloud.release import new_release, published
from simulator.simulated_device.log import log_to_stdout, quiet_sdk
from simulator.simulated_device.simulated_updates import UpdateSettings

type Json = dict[str, object]

MADE_UP: Json = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}

_INSTALL = "They install what is signed with this run's key only."
_PRETEND = "They download nothing (--install: they do)."
_CHECK_SECONDS = 0.5
_PACKAGE_VALID_FOR = timedelta(days=1)


def run(options: UpOptions) -> int:
    """Keep it running; 0 when stopped by a signal, else the error's exit code."""
    try:
        with cloud.stopped_by_signals():
            _keep_up(options)
    except CloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped")
    return 0


def _keep_up(options: UpOptions) -> None:
    if options.devices:
        check_device_port(options.cloud)
    allow_devices(options.devices, installing=options.install)
    quiet_sdk()
    print("starting the local cloud ...", flush=True)
    ids = device_ids(options.devices)
    with ExitStack() as stack:
        local_cloud = stack.enter_context(cloud.running(options.cloud))
        registration = Registration(options.cloud)
        firmware, make = _firmware_and_devices(options)
        stack.enter_context(connected_devices(registration, ids, make))
        print(guide(options, ids, firmware), flush=True)
        log_to_stdout()
        while True:
            local_cloud.check()
            time.sleep(_CHECK_SECONDS)


def _firmware_and_devices(options: UpOptions) -> tuple[Json, Callable[[str], CloudDevice]]:
    if not options.install:
        update_settings = UpdateSettings(stage_delay=timedelta(seconds=options.stage_seconds))
        return MADE_UP, simulated_device_factory(options.cloud, update_settings)
    release = new_release(str(MADE_UP["version"]))
    make = installing_device(options.cloud, "devices", release, options.stage_seconds)
    return published(options.cloud, release, _PACKAGE_VALID_FOR), make


def guide(options: UpOptions, ids: list[str], firmware: Json) -> str:
    """What a newcomer needs: addresses, connection strings, and a first call to copy."""
    at = options.cloud
    return f"""\
The local cloud is up. Ctrl-C stops all of it; logs are in {at.logs}.

  rollout API   {at.api_url}
  IoT Hub       https {at.address}:{at.hub_https_port}, MQTT over TLS {at.address}:\
{at.hub_mqtt_port}; its authority is {at.ca}

Connection strings (development keys, public, valid nowhere else):

  service   {at.service_connection_string}
  storage   {at.azurite.connection_string}
  device    {at.device_connection_string("<id>", "<key>")}

{_devices_in_words(options, ids)}
To start a rollout and to wait for its end:

{_first_calls(at, ids, firmware)}
To create another device, and then to be it in a terminal of its own:

REQUESTS_CA_BUNDLE={at.ca} {sys.executable} - <<END
from azure.iot.hub import IoTHubRegistryManager
registry = IoTHubRegistryManager.from_connection_string(
    "{at.service_connection_string}")
device = registry.create_device_with_sas("thermostat-99", "", "", "enabled")
print(device.authentication.symmetric_key.primary_key)
END

{sys.executable} -m simulator device --ca {at.ca} \\
  --connection-string "{at.device_connection_string("thermostat-99", "<the key>")}"
"""


def _devices_in_words(options: UpOptions, ids: list[str]) -> str:
    if not ids:
        return "No devices are registered (--devices 0).\n"
    named = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
    return (
        f"Registered, switched on and standing by: {named}, simulated in this process, "
        f"with stages of {options.stage_seconds:g} s. {_INSTALL if options.install else _PRETEND}\n"
        "What they do is shown below.\n"
    )


def _first_calls(options: CloudOptions, ids: list[str], firmware: Json) -> str:
    device_id = ids[0] if ids else "thermostat-99"
    return f"""\
curl -sS {options.api_url}/rollouts -H 'Content-Type: application/json' -d '{{
  "firmware": {json.dumps(firmware)},
  "target": {{"deviceIds": ["{device_id}"]}}}}'

curl -sS '{options.api_url}/rollouts/<id>?waitSeconds=60'
"""
