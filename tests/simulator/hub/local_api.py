"""`/_local` of a running hub, for tests over sockets."""

from typing import Any

import requests

from simulator.hub import LocalHub


class LocalApi:
    """Requests without a token; JSON in and out."""

    def __init__(self, hub: LocalHub, address: str) -> None:
        self._base = f"https://{address}:{hub.https_port}/_local/"
        self._session = requests.Session()
        self._session.verify = str(hub.ca_file)
        self._session.trust_env = False

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self._session.request(method, self._base + path, timeout=10, **arguments)

    def get(self, path: str) -> Any:
        """Return the JSON of a 200."""
        response = self.request("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def break_with(self, *faults: dict[str, Any], seed: int = 1) -> None:
        """Put these faults in force; none lifts them all."""
        response = self.request("PUT", "faults", json={"seed": seed, "faults": list(faults)})
        assert response.status_code == 200, response.text

    def send(self, device_id: str, **message: Any) -> int:
        """Send a cloud-to-device message and return the status."""
        return self.request("POST", f"devices/{device_id}/messages", json=message).status_code

    def close(self) -> None:
        self._session.close()
