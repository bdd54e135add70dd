"""Register devices in the local hub and read their twins, through Microsoft's service SDK."""

from http import HTTPStatus
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from msrest.exceptions import ClientException, HttpOperationError

from simulator.cloud.errors import CloudError
from simulator.cloud.options import CloudOptions


class Registration:
    """The hub's identity registry. Every call raises CloudError."""

    def __init__(self, options: CloudOptions) -> None:
        """Connect at the first call."""
        self._options = options
        self._registry = IoTHubRegistryManager.from_connection_string(
            options.service_connection_string
        )
        configuration = self._registry.protocol.config
        configuration.connection.verify = str(options.ca)
        # Otherwise the SDK opens a new TLS connection for every call.
        configuration.keep_alive = True

    def register(self, device_id: str) -> str:
        """Create a device, unless the hub knows it; return its connection string."""
        try:
            device = self._create(device_id)
        except ClientException as error:
            raise CloudError(f"{device_id} could not be registered: {error}") from error
        key: str = device.authentication.symmetric_key.primary_key
        return self._options.device_connection_string(device_id, key)

    def _create(self, device_id: str) -> Any:
        try:
            # The hub generates keys that are empty.
            return self._registry.create_device_with_sas(device_id, "", "", "enabled")
        except HttpOperationError as error:
            if error.response.status_code != HTTPStatus.CONFLICT:
                raise
            return self._registry.get_device(device_id)

    def twin(self, device_id: str) -> dict[str, Any]:
        """Return the device's twin, as JSON."""
        try:
            twin: dict[str, Any] = self._registry.get_twin(device_id).as_dict()
        except ClientException as error:
            raise CloudError(f"the twin of {device_id} could not be read: {error}") from error
        return twin
