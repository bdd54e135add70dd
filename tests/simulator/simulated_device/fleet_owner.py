"""Invoke methods and read twins, as the service side of a device does."""

from pathlib import Path
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from tests.waiting import eventually


class FleetOwner:
    """The service SDK, connected to one hub."""

    def __init__(self, connection_string: str, ca_file: Path) -> None:
        self._registry = IoTHubRegistryManager.from_connection_string(connection_string)
        self._registry.protocol.config.connection.verify = str(ca_file)
        self._registry.protocol.config.keep_alive = True

    def register_certificate(self, device_id: str, compute_thumbprint: str) -> None:
        """Register a device by its self-signed certificate."""
        self._registry.create_device_with_x509(device_id, compute_thumbprint, "", "enabled")

    def invoke(self, device_id: str, payload: Any, name: str = "firmwareUpdate") -> tuple[int, Any]:
        """Invoke a direct method and return the response's status and payload."""
        method = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=10,
            connect_timeout_in_seconds=10,
        )
        response = self._registry.invoke_device_method(device_id, method)
        return response.status, response.payload

    def reported(self, device_id: str) -> dict[str, Any]:
        """Return the reported properties."""
        reported: dict[str, Any] = self._registry.get_twin(device_id).properties.reported
        return reported

    def wait_for(self, device_id: str, status: str) -> dict[str, Any]:
        """Return the reported properties once firmwareStatus is `status`."""
        return eventually(
            lambda: (
                reported
                if (reported := self.reported(device_id)).get("firmwareStatus") == status
                else None
            ),
            what=f"{device_id} {status}",
        )

    def connection_state(self, device_id: str) -> str:
        """Return the connection state: `Connected` or `Disconnected`."""
        state: str = self._registry.get_twin(device_id).connection_state
        return state
