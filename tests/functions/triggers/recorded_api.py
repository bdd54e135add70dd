"""Send requests to the app's HTTP functions and keep the responses in a comparable form.

This module alone imports product modules for the recording.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from azure.functions import HttpResponse

from functions import wiring
from functions.errors import HubUnavailableError, StorageUnavailableError
from functions.hub_gateway.port import ConditionError
from functions.last_calls import LastCalls
from functions.rollouts.model.method_outcome import MethodResponse
from functions.triggers import http_health
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World, device

__all__ = [
    "FAILING",
    "HANGING",
    "REVERTING",
    "Patch",
    "RecordedApi",
    "device",
    "rejecting_device",
]

type Patch = pytest.MonkeyPatch

FAILING, HANGING, REVERTING = Fault.FAILING, Fault.HANGING, Fault.REVERTING
HUB_DOWN = HubUnavailableError("The hub is down.")
STORAGE_DOWN = StorageUnavailableError("The storage is down.")
CONDITION_REFUSED = ConditionError("The hub refuses the condition.")
# Fields whose values are text for people; their wording is not part of the recording.
TEXT_FIELDS = {"description", "detail", "explanation", "message", "title"}
TEXT = "<text>"
# The method's status from a virtual device that is busy; its response is text of the simulator.
BUSY = 409
_CURSOR = re.compile(r"(?<=cursor=)[^&]+")


class RecordedApi:
    """The HTTP API in front of a virtual cloud, with every response kept under a name.

    The clock stands still during a request and moves by one second after it. Waits have their
    full length and rollout ids come from a fixed seed, so the responses are always the same.
    """

    def __init__(self, fleet: Iterable[VirtualDevice], patch: Patch) -> None:
        self.world = World(fleet, still=True)
        self.world.services = replace(self.world.services, jitter=lambda: 1.0)
        self.responses: dict[str, Any] = {}
        self._patch = patch
        patch.setattr(wiring, "services", lambda: self.world.services)
        patch.setattr(wiring, "stores", lambda: self.world.stores)
        patch.setattr(wiring, "hub", lambda: self.world.hub)
        patch.setattr(wiring, "queue", lambda: self.world.queue)
        self.last_calls = LastCalls(lambda: 0.0)
        patch.setattr(wiring, "last_calls", lambda: self.last_calls)
        patch.setattr(http_health, "MIN_CHECK_INTERVAL_SECONDS", float("-inf"))

    def get(self, name: str, path: str) -> Any:
        """Send a GET; return the body of the response."""
        return self.send(name, "GET", path)

    def post(self, name: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a POST with `body` as JSON, or as it is if it is bytes; return the response's body.

        An underscore in the name of a header stands for a hyphen.
        """
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(name, "POST", path, b"" if body is None else sent, **headers)

    def send(self, name: str, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """Send a request, keep its response under `name`, and return the response's body."""
        if name in self.responses:
            raise ValueError(f"two requests are named {name!r}")
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        response = send(method, path, body, named)
        received = json.loads(response.get_body() or b"null") if response else None
        self.responses[name] = {
            "request": f"{method} {_CURSOR.sub('<cursor>', path)}",
            "response": _shown(response, received) if response else "no function has this route",
        }
        self.world.pass_time(seconds=1)
        return received

    def breaks(self, port: Any, method: str, error: Exception) -> None:
        """Make a method of a port raise `error` from now on."""

        def fail(*_: Any, **__: Any) -> None:
            raise error

        self._patch.setattr(port, method, fail)


def rejecting_device(device_id: str, package_uri: str) -> VirtualDevice:
    """Return a device that rejects packages from `package_uri` with status 400."""
    return _RejectingDevice(device_id, package_uri)


class _RejectingDevice(VirtualDevice):
    def __init__(self, device_id: str, package_uri: str) -> None:
        super().__init__(device_id, stage_seconds=(10, 10, 10, 10))
        self._rejected = package_uri

    def receive_method(
        self, payload: Mapping[str, Any], *more: Any, **named: Any
    ) -> MethodResponse:
        if payload["fwPackageUri"] == self._rejected:
            return MethodResponse(status=400, payload={"Response": "The link has expired."})
        return super().receive_method(payload, *more, **named)


def without_text(value: Any) -> Any:
    """Return a JSON value with a placeholder for all text for people and for cursors."""
    if isinstance(value, list):
        return [without_text(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _field_without_text(name, item) for name, item in value.items()}


def _field_without_text(name: str, value: Any) -> Any:
    if name in TEXT_FIELDS and isinstance(value, str):
        return TEXT
    if name == "method" and isinstance(value, dict) and value.get("status") == BUSY:
        return value | {"payload": _strings_hidden(value["payload"])}
    if name == "nextLink" and isinstance(value, str):
        return _CURSOR.sub("<cursor>", value)
    return without_text(value)


def openapi_without_text(value: Any) -> Any:
    """Return an OpenAPI document without its text for people.

    Descriptions, summaries and titles are left out, so that one may also be added. Texts of
    examples become a placeholder. The order of required fields does not matter.
    """
    if isinstance(value, list):
        return [openapi_without_text(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _part_without_text(name, item)
        for name, item in value.items()
        if not (name in {"description", "summary", "title"} and isinstance(item, str))
    }


def _part_without_text(name: str, value: Any) -> Any:
    match name:
        case "properties":  # Its names are those of properties, one of them "examples".
            return {name: openapi_without_text(item) for name, item in value.items()}
        case "examples":
            return _examples_without_text(value)
        case "required" if isinstance(value, list):
            return sorted(value)
        case _:
            return openapi_without_text(value)


def _examples_without_text(examples: Any) -> Any:
    """Return schema examples as a list; named examples become a list of their values."""
    if isinstance(examples, dict):
        examples = [example["value"] for example in examples.values()]
    return [_strings_hidden(example) for example in examples]


def _strings_hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings_hidden(item) for item in value]
    if isinstance(value, dict):
        return {name: _strings_hidden(item) for name, item in value.items()}
    return TEXT if isinstance(value, str) else value


def _shown(response: HttpResponse, body: Any) -> dict[str, Any]:
    headers = {"Content-Type": response.mimetype, **response.headers}
    return {
        "status": response.status_code,
        "headers": headers,
        "body": without_text(body),
    }
