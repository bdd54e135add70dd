"""The gateway on azure-iot-hub; with `method_errors`, the one place that knows the SDK.

One gateway serves a whole process. Its connections are kept: the SDK keeps one for each thread.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests
import urllib3.exceptions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification
from msrest.exceptions import ClientException, ClientRequestError, HttpOperationError

from functions.errors import HubUnavailableError, SettingsError
from functions.hub_gateway import method_errors, query_text
from functions.rollouts.method_outcome import Answered, Lost, MethodOutcome, NotDelivered
from functions.rollouts.model import DeviceTwin, MethodAnswer

# A device answers `firmwareUpdate` before it does any work, so the hub's own default is plenty.
METHOD_RESPONSE_SECONDS = 30
CONNECT_SECONDS = 5
READ_SECONDS = METHOD_RESPONSE_SECONDS + 10
# Calls side by side; each is one thread that waits, with one TLS connection.
THREADS = 16


def open_iot_hub(source: str, credential: TokenCredential | None) -> "IotHub":
    """A gateway to the hub at `source`: a connection string, or a host name with a credential.

    Raises SettingsError for a connection string that cannot be one.
    """
    try:
        if credential:
            registry = IoTHubRegistryManager.from_token_credential(source, credential)
        else:
            registry = IoTHubRegistryManager.from_connection_string(source)
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
    # A refusal after the last retry must arrive with its status and body.
    config.retry_policy.policy.raise_on_status = False
    return IotHub(registry)


class IotHub:
    """Implements `port.HubGateway`; safe to share between threads."""

    def __init__(self, registry: IoTHubRegistryManager) -> None:
        self._registry = registry
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="iot-hub")

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
            for twin in self._query(text):
                found[twin.device_id] = twin
        return found

    def fresh_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        twins = self._side_by_side(self.twin, device_ids)
        return {twin.device_id: twin for twin in twins if twin is not None}

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        request = CloudToDeviceMethod(
            method_name=method,
            payload=dict(payload),
            response_timeout_in_seconds=METHOD_RESPONSE_SECONDS,
            connect_timeout_in_seconds=0,
        )
        try:
            result = self._registry.invoke_device_method(device_id, request)
        except HttpOperationError as error:
            return method_errors.outcome_of(error)
        except ClientAuthenticationError:
            return NotDelivered("This app could not sign in to the hub.")
        except ClientRequestError as error:
            if _never_sent(error.inner_exception):
                return NotDelivered("The hub could not be reached.")
            return Lost("The connection to the hub broke before the answer.")
        except ClientException:
            return Lost("The hub's answer could not be read.")
        return Answered(MethodAnswer(status=int(result.status), payload=result.payload))

    def invoke_all(
        self, method: str, payloads: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, MethodOutcome]:
        def call(device_id: str) -> tuple[str, MethodOutcome]:
            return device_id, self.invoke(device_id, method, payloads[device_id])

        return dict(self._side_by_side(call, list(payloads)))

    def ping(self) -> None:
        with _hub_errors():
            self._registry.get_service_statistics()

    def _query(self, text: str) -> Iterator[DeviceTwin]:
        specification = QuerySpecification(query=text)
        token = None
        with _hub_errors():
            while True:
                page = self._registry.query_iot_hub(
                    specification, token, str(query_text.IDS_AT_MOST)
                )
                yield from (_device_twin(twin) for twin in page.items)
                token = page.continuation_token
                if not token:
                    return

    def _side_by_side[T](self, call: Callable[[str], T], device_ids: Sequence[str]) -> Sequence[T]:
        if len(device_ids) == 1:  # the caller's own thread will do, and has a connection
            return [call(device_ids[0])]
        return list(self._threads.map(call, device_ids))


def _device_twin(twin: Any) -> DeviceTwin:
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


def _never_sent(error: BaseException | None) -> bool:
    """Whether a request failed before its first byte could reach the hub."""
    if isinstance(error, requests.exceptions.SSLError | requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


@contextmanager
def _hub_errors() -> Iterator[None]:
    """Let every failure of the SDK leave as one of this project's errors."""
    try:
        yield
    except HttpOperationError as error:
        code = method_errors.error_code(error) or error.response.status_code
        raise HubUnavailableError(f"The IoT Hub answered {code}.") from error
    except ClientAuthenticationError as error:
        raise HubUnavailableError("This app could not sign in to the IoT Hub.") from error
    except ClientException as error:
        raise HubUnavailableError("The IoT Hub cannot be reached.") from error
