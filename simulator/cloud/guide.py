"""The text that `up` prints: addresses, connection strings, and first commands to copy."""

import json
import sys

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
    device_id = ids[0] if ids else _OTHER_DEVICE
    return f"""\
curl -sS {options.api_url}/rollouts -H 'Content-Type: application/json' -d '{{
  "firmware": {json.dumps(firmware)},
  "target": {{"deviceIds": ["{device_id}"]}}}}'

curl -sS '{options.api_url}/rollouts/<id>?waitSeconds=60'
"""


def _another_device(options: CloudOptions) -> str:
    return f"""\
REQUESTS_CA_BUNDLE={options.ca} {sys.executable} - <<END
from azure.iot.hub import IoTHubRegistryManager
registry = IoTHubRegistryManager.from_connection_string(
    "{options.service_connection_string}")
device = registry.create_device_with_sas("{_OTHER_DEVICE}", "", "", "enabled")
print(device.authentication.symmetric_key.primary_key)
END

{sys.executable} -m simulator device --ca {options.ca} \\
  --connection-string "{options.device_connection_string(_OTHER_DEVICE, "<the key>")}"
"""
