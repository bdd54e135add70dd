"""The gateway on azure-iot-hub; with `method_errors`, the one place that knows the SDK.

One gateway serves a whole process. Its connections are kept: the SDK keeps one for each thread.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, DeserializationError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification
from msrest.exceptions import ClientException, HttpOperationError

from functions.errors import HubUnavailableError, SettingsError
from functions.hub_gateway import method_errors, query_text
from functions.hub_gateway.port import ConditionError, Invocations, Matches
from functions.rollouts.model.device_update import DeviceTwin, MethodResponse
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    Lost,
    MethodOutcome,
    NotDelivered,
    Responded,
)
from functions.rollouts.rollout.pacing import QUERY_ROWS
from functions.rollouts.rollout.start_order import TargetDevice

# A device answers `firmwareUpdate` before it does any work, so the hub's own default is plenty.
METHOD_RESPONSE_SECONDS = 30
CONNECT_SECONDS = 5
READ_SECONDS = 10
METHOD_TIMEOUT = (CONNECT_SECONDS, METHOD_RESPONSE_SECONDS + 10)
# Calls side by side; each is one thread that waits, with one TLS connection. Twin reads have
# threads of their own: devices that do not answer must not hold up those who look after others.
METHOD_THREADS = 16
READ_THREADS = 8
# A method that found no free thread for this long is not sent any more: with connecting and
# answering, its sender's claim (asking.CLAIM_LEASE) would run out while it is under way.
SENT_WITHIN_SECONDS = 30
_LARGEST_STATUS = 2**31 - 1


def open_iot_hub(source: str, credential: TokenCredential | None) -> "IotHub":
    """A gateway to the hub at `source`: a connection string, or a host name with a credential.

    Raises SettingsError for a connection string that cannot be one, HubUnavailableError when the
    credential gives no token.
    """
    try:
        if credential:
            registry = IoTHubRegistryManager.from_token_credential(source, credential)
        else:
            registry = IoTHubRegistryManager.from_connection_string(source)
    except AzureError as error:
        raise HubUnavailableError("This app could not sign in to the IoT Hub.") from error
    except (ValueError, KeyError):
        # Without its cause: the SDK's message may hold the string, and the string holds a key.
        raise SettingsError("IOTHUB_CONNECTION_STRING is not a service connection string") from None
    config = registry.protocol.config
    # Without it the SDK makes a new TLS connection for every call.
    config.keep_alive = True
    config.connection.timeout = (CONNECT_SECONDS, READ_SECONDS)
    # The SDK repeats reads by itself, and nobody should wait five seconds to hear of an outage.
    config.retry_policy.retries = 2
    config.retry_policy.backoff_factor = 0.3
    # A TLS failure in the middle of a call counts as "other", and would repeat a POST too.
    config.retry_policy.policy.other = 0
    # A refusal after the last retry must arrive with its status and body.
    config.retry_policy.policy.raise_on_status = False
    return IotHub(registry)


class IotHub:
    """Implements `port.HubGateway`; safe to share between threads."""

    def __init__(self, registry: IoTHubRegistryManager) -> None:
        self._registry = registry
        self._method_threads = ThreadPoolExecutor(METHOD_THREADS, "iot-hub-methods")
        self._read_threads = ThreadPoolExecutor(READ_THREADS, "iot-hub-reads")

    def twin(self, device_id: str) -> DeviceTwin | None:
        with _hub_errors():
            try:
                return _device_twin(self._registry.get_twin(device_id))
            except HttpOperationError as error:
                if error.response.status_code == requests.codes.not_found:
                    return None
                raise

    def twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        found = {}
        for text in query_text.twin_queries(device_ids):
            for twin in self._rows(text, _device_twin):
                found[twin.device_id] = twin
        return found

    def connected(self, device_ids: Sequence[str]) -> frozenset[str]:
        texts = query_text.connected_queries(device_ids)
        return frozenset(
            member.device_id for text in texts for member in self._rows(text, _reader(()))
        )

    def matches(self, condition: str, paths: Sequence[str], cursor: str | None) -> Matches:
        with _hub_errors(), _condition_errors():
            page = self._page(query_text.members_query(condition, paths), cursor)
            members = list(map(_reader(paths), page.items))
        return Matches(members, page.continuation_token or None)

    def members(self, device_ids: Sequence[str], paths: Sequence[str]) -> Sequence[TargetDevice]:
        return [
            member
            for text in query_text.members_queries(device_ids, paths)
            for member in self._rows(text, _reader(paths))
        ]

    def count(self, condition: str) -> int:
        with _hub_errors(), _condition_errors():
            page = self._page(query_text.count_query(condition), None)
        rows = [row.additional_properties or {} for row in page.items]
        return int(rows[0].get(query_text.COUNT, 0)) if rows else 0

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        found: dict[str, DeviceTwin | None] = {}
        failures: list[HubUnavailableError] = []

        def read(device_id: str) -> None:
            try:
                found[device_id] = self.twin(device_id)
            except HubUnavailableError as error:
                failures.append(error)

        _side_by_side(self._read_threads, read, device_ids)
        if failures and not found:
            raise failures[0]
        return found

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        request = CloudToDeviceMethod(
            method_name=method,
            payload=dict(payload),
            response_timeout_in_seconds=METHOD_RESPONSE_SECONDS,
            connect_timeout_in_seconds=0,
        )
        # Not through the registry manager, whose calls take no timeout of their own.
        call = self._registry.protocol.devices.invoke_method
        try:
            result = call(device_id, request, timeout=METHOD_TIMEOUT)
        except (ClientException, AzureError, DeserializationError) as error:
            return method_errors.outcome_of(error)
        if not isinstance(result.status, int):
            return Lost("The hub's answer holds no status.")
        status = min(result.status, _LARGEST_STATUS)
        return Responded(MethodResponse(status=status, payload=result.payload))

    def invoke_all(self, method: str, payloads: Mapping[str, Mapping[str, Any]]) -> Invocations:
        outcomes: dict[str, MethodOutcome] = {}
        seconds: list[float] = []
        until = time.monotonic() + SENT_WITHIN_SECONDS

        def call(device_id: str) -> None:
            begun = time.monotonic()
            if begun >= until:
                outcomes[device_id] = NotDelivered("Too many methods were waiting to be sent.")
                return
            outcomes[device_id] = self.invoke(device_id, method, payloads[device_id])
            if isinstance(outcomes[device_id], Responded | DeviceOffline):
                seconds.append(time.monotonic() - begun)

        _side_by_side(self._method_threads, call, list(payloads))
        throttled = sum(
            isinstance(outcome, NotDelivered) and outcome.throttled for outcome in outcomes.values()
        )
        mean = sum(seconds) / len(seconds) if seconds else 0.0
        return Invocations(outcomes=outcomes, throttled=throttled, seconds=mean)

    def ping(self) -> None:
        with _hub_errors():
            self._registry.get_service_statistics()

    def _rows[T](self, text: str, read: Callable[[Any], T]) -> Iterator[T]:
        token = None
        with _hub_errors():
            while True:
                page = self._page(text, token)
                yield from map(read, page.items)
                token = page.continuation_token
                if not token:
                    return

    def _page(self, text: str, token: str | None) -> Any:
        specification = QuerySpecification(query=text)
        return self._registry.query_iot_hub(specification, token, str(QUERY_ROWS))


def _side_by_side(
    threads: ThreadPoolExecutor, call: Callable[[str], None], device_ids: Sequence[str]
) -> None:
    if len(device_ids) == 1:  # the caller's own thread will do, and has a connection
        call(device_ids[0])
    else:
        list(threads.map(call, device_ids))


def _reader(paths: Sequence[str]) -> Callable[[Any], TargetDevice]:
    """Reads a row of `members_query`; the values of the paths, joined, are the stratum."""

    def read(row: Any) -> TargetDevice:
        if row is None or not row.device_id:
            raise DeserializationError("not a device")
        return TargetDevice(
            row.device_id, query_text.stratum(row.additional_properties or {}, paths)
        )

    return read


def _device_twin(twin: Any) -> DeviceTwin:
    if twin is None or not twin.device_id:
        raise DeserializationError("not a device twin")
    reported = dict(twin.properties.reported or {}) if twin.properties else {}
    metadata = reported.pop("$metadata", None) or {}
    reported.pop("$version", None)
    times = {name: _time(metadata.get(name)) for name in reported}
    return DeviceTwin(
        device_id=twin.device_id,
        connected=twin.connection_state == "Connected",
        reported=reported,
        reported_at={name: at for name, at in times.items() if at is not None},
    )


def _time(metadata: Any) -> datetime | None:
    """`$lastUpdated` of one property; the hub writes seven digits of a second, we keep six."""
    text = metadata.get("$lastUpdated") if isinstance(metadata, Mapping) else None
    try:
        return datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None


@contextmanager
def _condition_errors() -> Iterator[None]:
    """A query that the hub does not accept, or no longer continues."""
    try:
        yield
    except HttpOperationError as error:
        if error.response.status_code == requests.codes.bad_request:
            raise ConditionError(method_errors.text(error)) from error
        raise


@contextmanager
def _hub_errors() -> Iterator[None]:
    """Let every failure of the SDK leave as one of this project's errors."""
    try:
        yield
    except HttpOperationError as error:
        code = method_errors.error_code(error) or error.response.status_code
        raise HubUnavailableError(f"The IoT Hub answered {code}.") from error
    except AzureError as error:
        raise HubUnavailableError("This app could not sign in to the IoT Hub.") from error
    except DeserializationError as error:
        raise HubUnavailableError("The IoT Hub's answer cannot be read.") from error
    except ClientException as error:
        raise HubUnavailableError("The IoT Hub cannot be reached.") from error
