"""The requests of a connected device: twin reads, reported properties, telemetry, responses.

Each is admitted first: it may have to wait, or be refused.
Source: Microsoft Learn, "Communicate with your IoT hub using the MQTT protocol", sections
"Sending device-to-cloud messages", "Retrieving a device twin's properties" and "Update device
twin's reported properties".
"""

from collections.abc import Callable
from typing import Protocol

from simulator.hub.model.errors import HubError
from simulator.hub.model.faults import Action
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Document, from_json, to_json
from simulator.hub.model.metering import Operation
from simulator.hub.model.methods import MethodResponse
from simulator.hub.mqtt import topics
from simulator.hub.mqtt.waiting import DelayedActions

type Response = tuple[str, bytes]
"""The topic and the body of the response to a twin request."""


class Peer(Protocol):
    """The part of a session that its requests use."""

    @property
    def device_id(self) -> str: ...

    def send_twin_response(self, topic: str, body: bytes) -> None: ...

    def close(self, reason: str) -> None: ...


class DeviceRequests:
    """The requests of one connection."""

    def __init__(self, hub: Hub, delayed: DelayedActions, peer: Peer) -> None:
        self._hub = hub
        self._traffic = hub.traffic
        self._delayed = delayed
        self._peer = peer

    def twin_get(self, request_id: str) -> None:
        """Respond with 200 and both sections, or with the status of the error."""

        def read() -> Response:
            body = to_json(self._hub.twins.device_view(self._peer.device_id))
            self._traffic.meter(len(body))
            return topics.twin_response_topic(200, request_id), body

        self._handle(Operation.DEVICE_TWIN_READ, request_id, read)

    def twin_report(self, request_id: str, payload: bytes) -> None:
        """Respond with 204 and the new `$version`, or with the status of the error."""

        def write() -> Response:
            version = self._hub.report(self._peer.device_id, payload)
            self._traffic.meter(len(payload))
            return topics.twin_response_topic(204, request_id, version), b""

        self._handle(Operation.DEVICE_TWIN_UPDATE, request_id, write)

    def method_result(self, status: int, request_id: str, payload: bytes) -> None:
        """Accept a method response. One that is not JSON is dropped (unverified)."""
        if self._is_struck(Action.LOSE_RESPONSE, Operation.METHOD):
            return
        try:
            response = MethodResponse(status, from_json(payload) if payload else None)
        except HubError:
            return
        self._hub.methods.respond(self._peer.device_id, request_id, response)

    def telemetry(self, properties: str, payload: bytes, acknowledge: Callable[[], None]) -> None:
        """Accept telemetry at once, acknowledge it after the wait. Raises HubError."""
        device_id = self._peer.device_id
        wait = self._traffic.admit(Operation.TELEMETRY, device_id)
        self._traffic.meter(len(payload))
        self._hub.accept_telemetry(device_id, properties, payload)
        if self._is_struck(Action.DROP, Operation.TELEMETRY):
            self._peer.close("a fault: dropped before telemetry was acknowledged")
        else:
            self._delayed.run(wait, acknowledge)

    def _handle(
        self, operation: Operation, request_id: str, perform: Callable[[], Response]
    ) -> None:
        try:
            wait = self._traffic.admit(operation, self._peer.device_id)
        except HubError as error:
            self._respond(operation, _refusal(error, request_id))
            return
        if wait:
            self._delayed.run(wait, lambda: self._perform(operation, request_id, perform))
        else:
            self._perform(operation, request_id, perform)

    def _perform(
        self, operation: Operation, request_id: str, perform: Callable[[], Response]
    ) -> None:
        try:
            response = perform()
        except HubError as error:
            response = _refusal(error, request_id)
        self._respond(operation, response)

    def _respond(self, operation: Operation, response: Response) -> None:
        if self._is_struck(Action.DROP, operation):
            self._peer.close(f"a fault: dropped before the response to {operation}")
        else:
            self._peer.send_twin_response(*response)

    def _is_struck(self, action: Action, operation: Operation) -> bool:
        faults = self._traffic.faults
        return faults.active and (
            faults.strike(action, operation, self._peer.device_id) is not None
        )


def _refusal(error: HubError, request_id: str) -> Response:
    """Return an error with a JSON body: Node takes a 400 or 429 without one for success."""
    body: Document = {"errorCode": error.code.value, "message": error.message}
    return topics.twin_response_topic(error.code.http_status, request_id), to_json(body)
