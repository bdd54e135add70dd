"""Implement the hub gateway with azure-iot-hub. Only this package uses the SDK.

One gateway serves a whole process. The SDK keeps one connection per thread.
"""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import TokenCredential
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification
from msrest.exceptions import ClientException, HttpOperationError

from functions.errors import DailyQuotaError, HubUnavailableError
from functions.hub_gateway import query_text
from functions.hub_gateway.direct_methods import DirectMethods
from functions.hub_gateway.fair_threads import FairThreads
from functions.hub_gateway.metering import Meter
from functions.hub_gateway.port import (
    ConditionError,
    DevicePage,
    FailureQuery,
    Invocations,
    always,
)
from functions.hub_gateway.sdk_client import HubTimeouts, make_client
from functions.hub_gateway.sdk_errors import (
    DEVICE_NOT_FOUND,
    UnreadableError,
    condition_errors,
    error_code,
    hub_errors,
    is_outage,
    is_transient,
)
from functions.hub_gateway.sdk_values import (
    queried_twin,
    target_device_reader,
    to_connection,
    to_count,
    to_device_twin,
    to_version_count,
)
from functions.last_calls import LastCall
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.method_outcome import MethodOutcome
from functions.rollouts.model.quotas import QUERY_ROWS, Quotas, Tier, quotas
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.usage import Usage

# Not those of the methods, so that devices that do not respond to a method cannot delay a read.
READ_THREADS = 16
# A device id that no hub has. Reading its twin needs the permission `service connect` alone, as all
# other calls do, and none of the hub's small quotas.
_NO_DEVICE = "fleet-rollout-readiness-probe"

_log = logging.getLogger(__name__)


def open_iot_hub(
    source: str,
    credential: TokenCredential | None,
    timeouts: HubTimeouts | None = None,
    last_call: LastCall | None = None,
    limits: Quotas | None = None,
    *,
    on_throttled: Callable[[], None] = lambda: None,
) -> "IotHub":
    """Open a gateway to a hub: a connection string, or a host name with a credential.

    The gateway records in `last_call` whether the hub responds, and calls `on_throttled` for each
    call that the hub refuses with 429.

    Raises SettingsError for an invalid connection string, HubUnavailableError if the credential
    returns no token.
    """
    timeouts = timeouts or HubTimeouts()
    try:
        registry = make_client(source, credential, timeouts)
    except HubUnavailableError:
        if last_call is not None:
            last_call.record(responded=False)
        raise
    meter = Meter(limits or quotas(Tier.S1, 1), on_throttled=on_throttled)
    registry.protocol.config.hooks.append(meter.count_response)
    return IotHub(registry, timeouts, last_call, meter)


class IotHub:
    """Implement `port.HubGateway`. Threads may share it."""

    def __init__(
        self,
        registry: IoTHubRegistryManager,
        timeouts: HubTimeouts | None = None,
        last_call: LastCall | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._registry = registry
        self._meter = meter or Meter(quotas(Tier.S1, 1))
        self._last_call = last_call or LastCall()
        self._methods = DirectMethods(
            registry.protocol.devices, timeouts or HubTimeouts(), self._last_call, self._meter
        )
        self._read_threads = FairThreads(READ_THREADS, "iot-hub-reads")

    def read_twin(self, device_id: str) -> DeviceTwin | None:
        """Read a device twin, or return None if the hub does not know the device."""
        with self._recorded_call():
            try:
                return to_device_twin(self._registry.get_twin(device_id))
            except HttpOperationError as error:
                if error_code(error) == DEVICE_NOT_FOUND:
                    return None
                raise

    def read_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        found: dict[str, DeviceTwin | None] = {}
        failures: list[HubUnavailableError] = []

        def read(device_id: str) -> None:
            try:
                found[device_id] = self.read_twin(device_id)
            except UnreadableError:
                _log.warning("the twin of device %s cannot be read", device_id, exc_info=True)
            except HubUnavailableError as error:
                failures.append(error)

        self._read_threads.call_for_each(device_ids, read)
        if failures and not found:
            raise failures[0]
        return found

    def query_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        twins: dict[str, DeviceTwin] = {}
        try:
            for text in query_text.twin_queries(device_ids):
                twins |= {twin.device_id: twin for twin in self._query(text, queried_twin)}
        except UnreadableError:
            # One twin that cannot be read makes its whole page unreadable.
            missing = [device_id for device_id in device_ids if device_id not in twins]
            found = self.read_twins(missing)
            twins |= {twin.device_id: twin for twin in found.values() if twin is not None}
        return twins

    def query_connections(self, device_ids: Sequence[str]) -> Mapping[str, bool]:
        texts = query_text.connection_queries(device_ids)
        rows = (row for text in texts for row in self._query(text, to_connection))
        return dict(filter(None, rows))

    def query_failures(self, query: FailureQuery, cursor: str | None) -> DevicePage:
        return self.query_matching(
            query_text.failure_condition(query), [query_text.STATUS_TIME], cursor
        )

    def query_matching(
        self, condition: str, paths: Sequence[str], cursor: str | None
    ) -> DevicePage:
        text = query_text.matching_query(condition, paths)
        with self._recorded_call(), condition_errors(query_text.condition_start(text)):
            page = self._query_page(text, cursor)
            devices = list(map(target_device_reader(paths), page.items))
        return DevicePage(devices, page.continuation_token or None)

    def query_devices(
        self, device_ids: Sequence[str], paths: Sequence[str]
    ) -> Sequence[TargetDevice]:
        texts = query_text.device_queries(device_ids, paths)
        return [row for text in texts for row in self._query(text, target_device_reader(paths))]

    def find_matching(self, condition: str, device_ids: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for text in query_text.matching_among_queries(condition, device_ids):
            with hub_errors(), condition_errors(text.index(condition)):
                found.update(item.device_id for item in self._query(text, target_device_reader(())))
        return frozenset(found)

    def count_matching(self, condition: str) -> int:
        text = query_text.count_query(condition)
        with self._recorded_call(), condition_errors(query_text.condition_start(text)):
            return to_count(self._query_page(text, None).items)

    def count_versions_matching(self, condition: str) -> Sequence[tuple[Any, int]]:
        text = query_text.version_count_query(condition)
        with self._recorded_call(), condition_errors(query_text.condition_start(text)):
            return list(self._query(text, to_version_count))

    def count_versions_of(self, device_ids: Sequence[str]) -> Sequence[tuple[Any, int]]:
        texts = query_text.version_count_queries(device_ids)
        return [row for text in texts for row in self._query(text, to_version_count)]

    def invoke(self, device_id: str, method: str, payload: Mapping[str, Any]) -> MethodOutcome:
        return self._methods.invoke(device_id, method, payload)

    def invoke_all(
        self,
        method: str,
        payloads: Mapping[str, Mapping[str, Any]],
        may_send: Callable[[], bool] = always,
        share: Hashable = None,
    ) -> Invocations:
        return self._methods.invoke_all(method, payloads, may_send, share)

    def take_usage(self) -> Usage:
        return self._meter.take()

    def return_usage(self, usage: Usage) -> None:
        self._meter.add(usage)

    def ping(self) -> None:
        self.read_twin(_NO_DEVICE)

    @contextmanager
    def _recorded_call(self) -> Iterator[None]:
        """Convert the SDK's errors, and record whether the hub responded."""
        self._meter.refuse_if_used_up()
        try:
            with hub_errors():
                yield
        except HubUnavailableError as error:
            if isinstance(error, DailyQuotaError):
                self._meter.record_refusal()
            self._last_call.record(responded=not is_outage(error))
            raise
        except ConditionError:
            self._last_call.record(responded=True)
            raise
        self._last_call.record(responded=True)

    def _query[T](self, text: str, read: Callable[[Any], T]) -> Iterator[T]:
        """Yield all rows of a query, page by page."""
        token = None
        with self._recorded_call():
            while True:
                page = self._query_page(text, token)
                yield from map(read, page.items)
                token = page.continuation_token
                if not token:
                    return
                self._meter.add(Usage(extra_pages=1))

    def _query_page(self, text: str, token: str | None) -> Any:
        """Query one page; once more if the hub failed, which the SDK does for reads only."""
        specification = QuerySpecification(query=text)
        try:
            return self._registry.query_iot_hub(specification, token, str(QUERY_ROWS))
        except ClientException as error:
            if not is_transient(error):
                raise
        return self._registry.query_iot_hub(specification, token, str(QUERY_ROWS))
