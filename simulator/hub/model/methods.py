"""Direct methods: the calls in progress.

Source: Microsoft Learn, "Understand and invoke direct methods from IoT Hub", and "Understand
Azure IoT Hub error codes".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.hub.model.clock import Clock, Timer
from simulator.hub.model.connections import Connections, Subscription
from simulator.hub.model.device import Status
from simulator.hub.model.errors import ErrorCode, HubError, device_not_found, invalid
from simulator.hub.model.json_types import Json, to_json
from simulator.hub.model.store import Store

DEFAULT_RESPONSE_TIMEOUT_SECONDS = 30
RESPONSE_TIMEOUT_SECONDS = range(5, 301)
CONNECT_TIMEOUT_SECONDS = range(301)
MAX_PAYLOAD_BYTES = 128 * 1024
MAX_PENDING_PER_DEVICE = 100
"""Calls in progress of one device; the service has such a limit, its value is unverified."""
MAX_PENDING = 10_000
"""Calls in progress in all: this hub's own limit of its memory."""
# Printable US-ASCII without the separators that the page lists.
_NAME = re.compile(r"[!#%&'*+\-.0-9A-Z^_`a-z|~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRequest:
    """A call of a direct method; `check` checks it."""

    name: str
    payload: Json = None
    response_timeout_seconds: int = DEFAULT_RESPONSE_TIMEOUT_SECONDS
    connect_timeout_seconds: int = 0

    def check(self) -> None:
        """Raise ARGUMENT_INVALID for a name or a timeout that the hub does not accept."""
        if not _NAME.fullmatch(self.name):
            raise invalid(f"invalid method name: {self.name!r}")
        if self.response_timeout_seconds not in RESPONSE_TIMEOUT_SECONDS:
            raise invalid("responseTimeoutInSeconds must be 5 to 300")
        if self.connect_timeout_seconds not in CONNECT_TIMEOUT_SECONDS:
            raise invalid("connectTimeoutInSeconds must be 0 to 300")


@dataclass(frozen=True, slots=True)
class MethodResponse:
    """A device's response: its own status and payload."""

    status: int
    payload: Json


type Done = Callable[[MethodResponse | HubError], None]
"""Called exactly once, when a call ends."""


@dataclass(slots=True)
class _Call:
    device_id: str
    request: MethodRequest
    payload: bytes
    done: Done
    request_id: str
    timer: Timer | None = field(default=None)


class Methods:
    """Calls that wait for their device to connect, and calls that wait for its response."""

    def __init__(self, store: Store, clock: Clock, connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._count = 0
        self._pending = 0
        self._waiting: dict[str, dict[str, _Call]] = {}
        self._sent: dict[str, dict[str, _Call]] = {}
        connections.on_ready_for_methods.append(self._on_device_ready)
        connections.on_lost.append(self._on_device_lost)

    def invoke(self, device_id: str, request: MethodRequest, done: Done) -> None:
        """Start a call. `done` gets the response or a HubError, perhaps before this returns."""
        try:
            call = self._new_call(device_id, request, done)
        except HubError as error:
            done(error)
            return
        online = self._connections.subscriber(device_id, Subscription.METHODS) is not None
        if online or request.connect_timeout_seconds == 0:
            self._send(call)
        else:
            self._wait_for_device(call)

    def respond(self, device_id: str, request_id: str, response: MethodResponse) -> None:
        """Accept a device's response. One that no call waits for is dropped."""
        call = self._sent.get(device_id, {}).get(request_id)
        if call is not None:
            self._end(self._sent, call, response)

    def _new_call(self, device_id: str, request: MethodRequest, done: Done) -> _Call:
        request.check()
        if self._store.get(device_id).device.status is not Status.ENABLED:
            raise device_not_found(device_id)
        payload = to_json(request.payload)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise HubError(ErrorCode.MESSAGE_TOO_LARGE, "the payload is larger than 128 KB")
        self._check_pending(device_id)
        self._count += 1
        self._pending += 1
        return _Call(device_id, request, payload, done, f"{self._count:x}")

    def _check_pending(self, device_id: str) -> None:
        of_device = len(self._sent.get(device_id, ())) + len(self._waiting.get(device_id, ()))
        if of_device >= MAX_PENDING_PER_DEVICE:
            raise HubError(
                ErrorCode.DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED,
                f"{of_device} direct methods of {device_id} are in progress",
            )
        if self._pending >= MAX_PENDING:
            raise HubError(ErrorCode.SERVER_BUSY, f"{MAX_PENDING} direct methods are in progress")

    def _wait_for_device(self, call: _Call) -> None:
        self._waiting.setdefault(call.device_id, {})[call.request_id] = call
        call.timer = self._clock.call_later(
            call.request.connect_timeout_seconds,
            lambda: self._end(self._waiting, call, _not_online(call.request)),
        )

    def _send(self, call: _Call) -> None:
        link = self._connections.subscriber(call.device_id, Subscription.METHODS)
        if link is None:
            self._finish(call, _not_online(call.request))
            return
        self._sent.setdefault(call.device_id, {})[call.request_id] = call
        call.timer = self._clock.call_later(
            call.request.response_timeout_seconds,
            lambda: self._end(self._sent, call, _no_response()),
        )
        link.send_method(call.request_id, call.request.name, call.payload)

    def _on_device_ready(self, device_id: str) -> None:
        for call in self._waiting.pop(device_id, {}).values():
            _stop(call)
            self._send(call)

    def _on_device_lost(self, device_id: str) -> None:
        """End the calls of a lost device with 404104 (the code is unverified)."""
        for call in list(self._sent.get(device_id, {}).values()):
            error = HubError(
                ErrorCode.DEVICE_CONNECTION_CLOSED_REMOTELY, "the device closed its connection"
            )
            self._end(self._sent, call, error)

    def _end(
        self, calls: dict[str, dict[str, _Call]], call: _Call, result: MethodResponse | HubError
    ) -> None:
        of_device = calls.get(call.device_id, {})
        of_device.pop(call.request_id, None)
        if not of_device:
            calls.pop(call.device_id, None)
        _stop(call)
        self._finish(call, result)

    def _finish(self, call: _Call, result: MethodResponse | HubError) -> None:
        self._pending -= 1
        call.done(result)


def _stop(call: _Call) -> None:
    if call.timer is not None:
        call.timer.cancel()
        call.timer = None


def _not_online(request: MethodRequest) -> HubError:
    minutes, seconds = divmod(request.connect_timeout_seconds, 60)
    return HubError(
        ErrorCode.DEVICE_NOT_ONLINE,
        "Timed out waiting for device to connect.",
        info={"timeout": f"00:{minutes:02}:{seconds:02}"},
    )


def _no_response() -> HubError:
    return HubError(ErrorCode.GATEWAY_TIMEOUT, "Timed out waiting for the response from device.")
