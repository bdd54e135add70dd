"""The command `up`: the local cloud, kept running until Ctrl-C."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from simulator.cloud import cloud
from simulator.cloud.connected_devices import (
    allow_open_files,
    check_device_port,
    connected_devices,
    device_ids,
    timed_device,
)
from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions
from simulator.cloud.registration import Registration
from simulator.device.log import log_to_stdout, quiet_sdk
from simulator.device.timed import TUTORIAL_STAGE_DELAY, Behaviour

_CHECK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The cloud, and how many simulated devices are registered and switched on with it."""

    cloud: CloudOptions
    devices: int = 1
    stage_seconds: float = TUTORIAL_STAGE_DELAY.total_seconds()


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
    allow_open_files(options.devices)
    quiet_sdk()
    print("starting the local cloud ...", flush=True)
    behaviour = Behaviour(stage_delay=timedelta(seconds=options.stage_seconds))
    ids = device_ids(options.devices)
    with ExitStack() as stack:
        local_cloud = stack.enter_context(cloud.running(options.cloud))
        registration = Registration(options.cloud)
        make = timed_device(options.cloud, behaviour)
        stack.enter_context(connected_devices(registration, ids, make))
        print(guide(options, ids), flush=True)
        log_to_stdout()
        while True:
            local_cloud.check()
            time.sleep(_CHECK_SECONDS)


def guide(options: UpOptions, ids: list[str]) -> str:
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

{_first_calls(at, ids)}
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
        f"with stages of {options.stage_seconds:g} s.\n"
        "What they do is shown below.\n"
    )


def _first_calls(options: CloudOptions, ids: list[str]) -> str:
    device_id = ids[0] if ids else "thermostat-99"
    return f"""\
curl -sS {options.api_url}/rollouts -H 'Content-Type: application/json' -d '{{
  "firmware": {{"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}},
  "target": {{"deviceIds": ["{device_id}"]}}}}'

curl -sS '{options.api_url}/rollouts/<id>?waitSeconds=60'
"""
