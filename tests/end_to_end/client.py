"""A plain client of the HTTP API."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from simulator.cloud.options import CloudOptions

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Api:
    """The HTTP API under test."""

    options: CloudOptions

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        raw = json.dumps(body).encode() if isinstance(body, Mapping) else body
        connection = http.client.HTTPConnection(
            self.options.address, self.options.host_port, timeout=90
        )
        try:
            connection.request(method, f"/api{path}", raw, dict(headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
            return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        response = self.call("GET", path)
        assert response.status == 200, response
        return response.json

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, status: int = HTTPStatus.OK
    ) -> Any:
        response = self.call("POST", path, body)
        assert response.status == status, response
        return response.json

    def every(self, path: str) -> list[Any]:
        """Return the items of a list, page after page."""
        found: list[Any] = []
        following = path
        while following:
            page = self.get(following)
            found += page["value"]
            following = page.get("nextLink", "").partition("/api")[2]
        return found

    def wait_for_end(self, rollout: Any, *, seconds: float = 60) -> Any:
        """Return the rollout once it has ended. Raises AssertionError after `seconds`."""
        path, deadline = f"/rollouts/{rollout['id']}", time.monotonic() + seconds
        while True:
            left = min(60, max(0, int(deadline - time.monotonic())))
            found = self.get(f"{path}?waitSeconds={left}")
            if found["endedAt"] is not None:
                return found
            assert left, f"not ended within {seconds} s: {found}"

    def create(self, *device_ids: str, **strategy: Any) -> Any:
        body = {"firmware": FIRMWARE, "target": {"deviceIds": list(device_ids)}}
        if strategy:
            body["strategy"] = strategy
        response = self.call("POST", "/rollouts", body)
        assert response.status == 201, response
        return response.json

    def device(self, rollout_id: str, device_id: str) -> Any:
        return self.get(f"/rollouts/{rollout_id}/devices/{quote(device_id, safe='')}")
