"""The pytest fixture `local_hub`: the SDKs need no further settings."""

from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager

from simulator.hub import LocalHub

pytest_plugins = ["simulator.hub.pytest_plugin"]


def test_a_device_reports_what_a_service_reads(local_hub: LocalHub) -> None:
    device = IoTHubDeviceClient.create_from_connection_string(local_hub.create_device("one"))
    device.patch_twin_reported_properties({"version": "1.2.0"})
    device.shutdown()
    service = IoTHubRegistryManager.from_connection_string(local_hub.connection_string)
    assert service.get_twin("one").properties.reported["version"] == "1.2.0"
