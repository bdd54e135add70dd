"""The text that `up` prints: addresses, connection strings, and first commands to copy."""

import json
import shlex
import sys
from pathlib import Path

from simulator.cloud.options import CloudOptions, UpOptions

type Json = dict[str, object]

SAMPLE_FIRMWARE: Json = {
    "version": "2.4.0",
    "packageUri": "https://packages.example/fw-2.4.0.bin",
}
_OTHER_DEVICE = "thermostat-99"


def guide(options: UpOptions, ids: list[str], firmware: Json) -> str:
    """Return what a newcomer needs to start a rollout of `firmware` and to add a device."""
    cloud = options.cloud
    return f"""\
The local cloud is running. Ctrl-C stops all of it; the logs are in {cloud.logs}.

  rollout API   {cloud.api_url}
  the page      {cloud.api_url}/ui
  IoT Hub       https://{cloud.address}:{cloud.hub_https_port}, MQTT over TLS \
{cloud.address}:{cloud.hub_mqtt_port}
                certificate of its authority: {cloud.ca}

Connection strings (public development keys, valid nowhere else):

  service   {cloud.service_connection_string}
  storage   {cloud.azurite.connection_string}
  device    {cloud.device_connection_string("<id>", "<key>")}

{_describe_devices(options, ids)}
Start a rollout, then wait for its end:

{_first_calls(cloud, ids, firmware)}
Create another device, then run it in a terminal of its own:

{_another_device(cloud)}"""


def _describe_devices(options: UpOptions, ids: list[str]) -> str:
    if not ids:
        return "No devices are registered (--devices 0).\n"
    if len(ids) == 1:
        named = f"1 simulated device is connected: {ids[0]}."
    else:
        named = f"{len(ids)} simulated devices are connected: {ids[0]} to {ids[-1]}."
    share = f"The updates of {options.fail}% of them fail. " if options.fail else ""
    how = share + (
        "They install only firmware that is signed with the key of this run."
        if options.install
        else "They report every stage of an update but install nothing (see --install)."
    )
    return (
        f"{named} Each stage of an update takes {options.stage_seconds:g} s.\n{how}\n"
        "Their log is printed below.\n"
    )


def _first_calls(options: CloudOptions, ids: list[str], firmware: Json) -> str:
    target: Json = {"deviceIds": ids or [_OTHER_DEVICE]}
    if len(ids) > 1:
        target = {"condition": "is_defined(deviceId)"}
    return f"""\
curl -sS {options.api_url}/rollouts -H 'Content-Type: application/json' -d '{{
  "firmware": {json.dumps(firmware)},
  "target": {json.dumps(target)}}}'

curl -sS '{options.api_url}/rollouts/<id>?waitSeconds=60'

The same by the command fleet; `fleet create --help` tells how to start one:

export FLEET_API={options.api_url}
{shlex.quote(str(Path(sys.executable).with_name("fleet")))} watch <id>
"""


def _another_device(options: CloudOptions) -> str:
    python, ca = shlex.quote(sys.executable), shlex.quote(str(options.ca))
    return f"""\
REQUESTS_CA_BUNDLE={ca} {python} - <<END
from azure.iot.hub import IoTHubRegistryManager
registry = IoTHubRegistryManager.from_connection_string(
    "{options.service_connection_string}")
device = registry.create_device_with_sas("{_OTHER_DEVICE}", "", "", "enabled")
print(device.authentication.symmetric_key.primary_key)
END

{python} -m simulator device --ca {ca} \\
  --connection-string "{options.device_connection_string(_OTHER_DEVICE, "<the key>")}"
"""
