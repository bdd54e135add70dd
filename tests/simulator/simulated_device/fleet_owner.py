"""What the other end of a device does: invoke methods, read twins."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

SECONDS = 20.0


def eventually[T](what: str, look: Callable[[], T | None], seconds: float = SECONDS) -> T:
    """What `look` gives, as soon as it is neither None nor False."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"within {seconds:g} s not seen: {what}"
        time.sleep(0.02)


class FleetOwner:
    """The service SDK, against one hub."""

    def __init__(self, connection_string: str, ca_file: Path) -> None:
        self._registry = IoTHubRegistryManager.from_connection_string(connection_string)
        self._registry.protocol.config.connection.verify = str(ca_file)
        self._registry.protocol.config.keep_alive = True

    def register_certificate(self, device_id: str, compute_thumbprint: str) -> None:
        """A device that is known by its self-signed certificate."""
        self._registry.create_device_with_x509(device_id, compute_thumbprint, "", "enabled")

    def invoke(self, device_id: str, payload: Any, name: str = "firmwareUpdate") -> tuple[int, Any]:
        """A direct method's status and payload."""
        method = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=10,
            connect_timeout_in_seconds=10,
        )
        response = self._registry.invoke_device_method(device_id, method)
        return response.status, response.payload

    def reported(self, device_id: str) -> dict[str, Any]:
        """The reported properties."""
        reported: dict[str, Any] = self._registry.get_twin(device_id).properties.reported
        return reported

    def wait_for(self, device_id: str, status: str) -> dict[str, Any]:
        """The reported properties, once firmwareStatus is `status`."""
        return eventually(
            f"{device_id} {status}",
            lambda: (
                reported
                if (reported := self.reported(device_id)).get("firmwareStatus") == status
                else None
            ),
        )

    def connection_state(self, device_id: str) -> str:
        """`Connected` or `Disconnected`, as the hub sees it."""
        state: str = self._registry.get_twin(device_id).connection_state
        return state
