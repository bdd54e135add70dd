"""The app's HTTP functions, called as the host calls them, on a world in memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions import wiring
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the API."""

    status: int
    text: str  # the body as it was sent
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Client:
    """The API in front of a world."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wiring, "services", lambda: world.services)
        monkeypatch.setattr(wiring, "stores", lambda: world.stores)

    def get(self, path: str) -> Response:
        return self._send("GET", path, b"", {})

    def post(self, path: str, body: Any = None, **headers: str) -> Response:
        """Send `body` as JSON; an underscore in the name of a header stands for a hyphen."""
        return self._send_json("POST", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Response:
        return self._send_json("PATCH", path, body, headers)

    def _send_json(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Response:
        sent = b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._send(method, path, sent, named)

    def put(self, path: str, body: Any, **headers: str) -> Response:
        return self._send_json("PUT", path, body, headers)

    def delete(self, path: str, body: Any = None) -> Response:
        return self._send("DELETE", path, b"" if body is None else json.dumps(body).encode(), {})

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        response = send(method, path, body, headers)
        assert response is not None, f"no route fits {method} {path}"
        return Response(response.status_code, response.get_body().decode(), response.headers)
