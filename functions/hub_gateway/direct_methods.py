"""Invoke direct methods with azure-iot-hub, one by one or many at a time."""

import json
import logging
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from azure.core.exceptions import AzureError, DeserializationError
from azure.iot.hub.models import CloudToDeviceMethod
from azure.iot.hub.protocol.operations import DevicesOperations
from msrest.exceptions import ClientException, HttpOperationError

from functions.hub_gateway import method_errors
from functions.hub_gateway.fair_threads import FairThreads
from functions.hub_gateway.metering import Meter
from functions.hub_gateway.port import Invocations, always
from functions.hub_gateway.sdk_client import HubTimeouts
from functions.hub_gateway.sdk_values import to_payload
from functions.last_calls import LastCall
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)

# Each concurrent call occupies a thread and a TLS connection. One batch alone gets half of the
# threads, see `FairThreads`.
METHOD_THREADS = 48
_MAX_STATUS = 2**31 - 1

_log = logging.getLogger(__name__)


class DirectMethods:
    """Implement the direct methods of `port.HubGateway`. Threads may share it."""

    def __init__(
        self, devices: DevicesOperations, timeouts: HubTimeouts, last_call: LastCall, meter: Meter
    ) -> None:
        self._devices = devices
        self._timeouts = timeouts
        self._last_call = last_call
        self._meter = meter
        self._threads = FairThreads(METHOD_THREADS, "iot-hub-methods")

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        """Invoke a direct method on one device and wait for the response."""
        if self._meter.is_refused():
            return NotDelivered("The hub's day is used up; nothing was sent.", day_used_up=True)
        outcome = self._invoke(device_id, method, payload)
        if isinstance(outcome, NotDelivered) and outcome.day_used_up:
            self._meter.record_refusal()
        self._last_call.record(responded=not method_errors.is_outage(outcome))
        return outcome

    def _invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        request = CloudToDeviceMethod(
            method_name=method,
            payload=dict(payload),
            response_timeout_in_seconds=self._timeouts.method_response,
            connect_timeout_in_seconds=0,
        )
        # The registry manager's own method takes no timeout.
        call = self._devices.invoke_method
        try:
            result = call(device_id, request, timeout=self._timeouts.method_call)
        except (ClientException, AzureError, DeserializationError) as error:
            outcome = method_errors.outcome_of(error)
            if isinstance(outcome, Lost) and not isinstance(error, HttpOperationError):
                self._meter.count_method(len(json.dumps(request.payload)))
            return outcome
        except Exception:  # noqa: BLE001 - one device's problem
            # For example, it is nested deeper than Python recurses. The device may have started.
            _log.exception("the response of device %s cannot be read", device_id)
            return Lost("The device's response cannot be read.")
        if not isinstance(result.status, int):
            return Lost("The hub's response has no status.")
        status = min(result.status, _MAX_STATUS)
        return Responded(MethodResponse(status=status, payload=to_payload(result.payload)))

    def invoke_all(
        self,
        method: str,
        payloads: Mapping[str, Mapping[str, Any]],
        may_send: Callable[[], bool] = always,
        share: Hashable = None,
    ) -> Invocations:
        outcomes: dict[str, MethodOutcome] = {}
        seconds: list[float] = []
        until = time.monotonic() + self._timeouts.method_start

        def call(device_id: str) -> None:
            start = time.monotonic()
            is_late = start >= until or self._meter.is_refused()
            if is_late or method_errors.hub_fails(outcomes.values()) or not may_send():
                return
            outcome = self.invoke(device_id, method, payloads[device_id])
            if isinstance(outcome, NotDelivered) and outcome.day_used_up:
                return  # as if it had not been sent
            outcomes[device_id] = outcome
            if isinstance(outcomes[device_id], Responded | DeviceOffline):
                seconds.append(time.monotonic() - start)

        self._threads.call_for_each(list(payloads), call, share)
        throttled = sum(
            isinstance(outcome, NotDelivered) and outcome.throttled for outcome in outcomes.values()
        )
        mean = sum(seconds) / len(seconds) if seconds else 0.0
        return Invocations(outcomes=outcomes, throttled=throttled, seconds=mean)
