"""Devices of the local hub: registered over the wire, as a fleet's owner does it."""

from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from msrest.exceptions import ClientException

from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions


class Registration:
    """The hub's registry, through Microsoft's service SDK. Every call raises CloudError."""

    def __init__(self, options: CloudOptions) -> None:
        """Nothing is dialled yet."""
        self._options = options
        self._registry = IoTHubRegistryManager.from_connection_string(
            options.service_connection_string
        )
        configuration = self._registry.protocol.config
        configuration.connection.verify = str(options.ca)
        # Otherwise the SDK opens a new TLS connection for every call.
        configuration.keep_alive = True

    def register(self, device_id: str) -> str:
        """Create a device; gives its connection string."""
        try:
            # Empty keys: the hub makes them.
            device = self._registry.create_device_with_sas(device_id, "", "", "enabled")
        except ClientException as error:
            raise CloudError(f"the hub did not register {device_id}: {error}") from error
        key: str = device.authentication.symmetric_key.primary_key
        return self._options.device_connection_string(device_id, key)

    def twin(self, device_id: str) -> dict[str, Any]:
        """The device's twin, as JSON."""
        try:
            twin: dict[str, Any] = self._registry.get_twin(device_id).as_dict()
        except ClientException as error:
            raise CloudError(f"the hub did not give {device_id}'s twin: {error}") from error
        return twin
