"""A virtual IoT Hub with its devices, without sockets, for one thread."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError
from functions.hub_gateway.port import DevicePage, FailureQuery, Invocations, always
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    Lost,
    MethodOutcome,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.usage import Usage
from simulator.rehearsal.meter import (
    TWIN_READ,
    Meter,
    Operations,
    RefusedError,
    ThrottledError,
)
from simulator.rehearsal.virtual_device import VirtualDevice

_PAGE_ROWS = 100
# Bytes that a row adds to a query result: a whole twin, or a device id with a few values.
_TWIN_BYTES, _ID_BYTES = 819, 102
# Round trip of a method that does not wait in the throttle.
_METHOD_SECONDS = 0.2
_METHOD = "firmwareUpdate"
_OFFLINE = DeviceOffline()
_UNKNOWN = DeviceUnknown()


class VirtualHub:
    """Implements `functions.hub_gateway.port.HubGateway`.

    Every condition matches every device that is not `unmatched`; among given ones, it matches the
    `matching` ones.

    `query_lag` is the age of query results. Single reads of `unreadable` devices fail. The hub
    does not call devices that are `disabled` or no longer in `devices`. The next method calls of a
    device have its `scripted_outcomes`, if any, and do not reach it. Calls of the kinds in
    `meter.refused` are refused to the app, and counted in `meter.refusals`.
    """

    def __init__(
        self,
        devices: Iterable[VirtualDevice],
        clock: Callable[[], datetime],
        quotas: Quotas | None = None,
    ) -> None:
        """Create a hub. Without `quotas`, it refuses and delays nothing."""
        self.devices = {device.device_id: device for device in devices}
        self.clock = clock
        self.query_lag = timedelta()
        self.unreadable: set[str] = set()
        self.disabled: set[str] = set()
        self.matching: set[str] | None = None
        self.unmatched: set[str] = set()
        self.scripted_outcomes: dict[str, list[MethodOutcome]] = {}
        self.meter = Meter(quotas)
        self._ids = list(self.devices)

    @property
    def operations(self) -> Operations:
        return self.meter.operations

    @property
    def started(self) -> int:
        """Number of updates that devices began."""
        return sum(len(device.started) for device in self.devices.values())

    def read_twin(self, device_id: str) -> DeviceTwin | None:
        """Return the twin as of now, without counting the read. For tests and reports."""
        device = self.devices.get(device_id)
        return self._read(device, self._now) if device else None

    def register(self, device: VirtualDevice) -> None:
        """Add a device to the hub."""
        self.devices[device.device_id] = device
        self._ids.append(device.device_id)

    def disconnect(self, device_id: str) -> None:
        self.devices[device_id].disconnect(self._now)

    def reconnect(self, device_id: str) -> None:
        self.devices[device_id].reconnect(self._now, self.meter.report)

    # -- methods of the port

    def query_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        now, then = self._now, self._then
        found: dict[str, DeviceTwin] = {}
        for part in batched(device_ids, _PAGE_ROWS, strict=False):
            known = self._known(part)
            self.meter.query(now, len(known) * _TWIN_BYTES)
            found |= {device.device_id: self._read(device, then) for device in known}
        return found

    def read_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        now = self._now
        found: dict[str, DeviceTwin | None] = {}
        refused: RefusedError | None = None
        for device_id in device_ids:
            if device_id in self.unreadable:
                continue
            try:
                self.meter.twin_read(now)
            except RefusedError as error:
                refused = error
                break
            device = self.devices.get(device_id)
            found[device_id] = self._read(device, now) if device else None
        if device_ids and not found:
            raise refused or HubUnavailableError("No twin can be read.")
        return found

    def query_connections(self, device_ids: Sequence[str]) -> Mapping[str, bool]:
        now, then = self._now, self._then
        found: dict[str, bool] = {}
        for part in batched(device_ids, _PAGE_ROWS, strict=False):
            enabled = [item for item in self._known(part) if item.device_id not in self.disabled]
            self.meter.query(now, len(enabled) * _ID_BYTES)
            found |= {item.device_id: item.is_online(then) for item in enabled}
        return found

    def query_failures(self, query: FailureQuery, cursor: str | None) -> DevicePage:
        then, first = self._then, int(cursor or 0)
        since = query.since.timestamp()
        found = [
            TargetDevice(device.device_id, str(at))
            for device in self.devices.values()
            # Most devices have begun nothing, or a first update that ends well.
            if (latest := device.latest) is not None and (latest.ends_badly or latest.previous)
            if (at := device.failed_at(then, query.rollout_id, query.versions)) is not None
            if at >= since
        ]
        page = found[first : first + _PAGE_ROWS]
        self.meter.query(self._now, len(page) * _ID_BYTES)
        end = first + len(page)
        return DevicePage(page, str(end) if end < len(found) else None)

    def query_matching(
        self,
        condition: str,  # noqa: ARG002
        paths: Sequence[str],
        cursor: str | None,
    ) -> DevicePage:
        first = int(cursor or 0)
        end = first + _PAGE_ROWS
        ids = [item for item in self._ids[first:end] if item not in self.unmatched]
        targets = self._targets(self._known(ids), paths)
        self.meter.query(self._now, len(targets) * _ID_BYTES)
        return DevicePage(targets, str(end) if end < len(self._ids) else None)

    def query_devices(
        self, device_ids: Sequence[str], paths: Sequence[str]
    ) -> Sequence[TargetDevice]:
        found: list[TargetDevice] = []
        for part in batched(device_ids, _PAGE_ROWS, strict=False):
            known = self._known(part)
            self.meter.query(self._now, len(known) * _ID_BYTES)
            found += self._targets(known, paths)
        return found

    def find_matching(
        self,
        condition: str,  # noqa: ARG002
        device_ids: Sequence[str],
    ) -> frozenset[str]:
        known = frozenset(item.device_id for item in self.query_devices(device_ids, ()))
        return known if self.matching is None else known & self.matching

    def count_matching(self, condition: str) -> int:  # noqa: ARG002
        self.meter.query(self._now, _ID_BYTES)
        return len(self._ids) - len(self.unmatched)

    def count_versions_matching(self, condition: str) -> Sequence[tuple[Any, int]]:  # noqa: ARG002
        self.meter.query(self._now, _ID_BYTES)
        return self._count_versions(self.devices.values())

    def count_versions_of(self, device_ids: Sequence[str]) -> Sequence[tuple[Any, int]]:
        counts: list[tuple[Any, int]] = []
        for part in batched(device_ids, _PAGE_ROWS, strict=False):
            self.meter.query(self._now, _ID_BYTES)
            counts += self._count_versions(self._known(part))
        return counts

    def invoke_all(
        self,
        method: str,
        payloads: Mapping[str, Mapping[str, Any]],
        may_send: Callable[[], bool] = always,
        share: Hashable = None,  # noqa: ARG002 - one thread sends one method after the other
    ) -> Invocations:
        if method != _METHOD:
            raise ValueError(f"virtual devices implement {_METHOD}, not {method}")
        now, throttled, responded, waited = self._now, 0, 0, 0.0
        outcomes: dict[str, MethodOutcome] = {}
        for device_id, payload in payloads.items():
            if not may_send():
                continue
            try:
                wait = self.meter.method(now)
            except DailyQuotaError:
                break  # nothing more is sent
            except HubRefusedError as error:
                outcomes[device_id] = NotDelivered(str(error), access_refused=True)
                continue
            except RefusedError as error:
                over_limit = isinstance(error, ThrottledError)
                throttled += over_limit
                outcomes[device_id] = NotDelivered(str(error), throttled=over_limit)
                continue
            outcome = outcomes[device_id] = self._invoke(device_id, payload, now + wait)
            if isinstance(outcome, Responded):
                responded += 1
                waited += wait
        seconds = _METHOD_SECONDS + waited / responded if responded else 0.0
        return Invocations(outcomes=outcomes, throttled=throttled, seconds=seconds)

    def take_usage(self) -> Usage:
        return self.meter.take_usage()

    def return_usage(self, usage: Usage) -> None:
        self.meter.return_usage(usage)

    def ping(self) -> None:
        self.meter.check_access(TWIN_READ)

    @property
    def _now(self) -> float:
        return self.clock().timestamp()

    @property
    def _then(self) -> float:
        return self._now - self.query_lag.total_seconds()

    def _count_versions(self, devices: Iterable[VirtualDevice]) -> Sequence[tuple[Any, int]]:
        twins = (device.read_twin(self._then) for device in devices)
        return list(Counter(twin.reported.get("firmwareVersion") for twin in twins).items())

    def _known(self, device_ids: Iterable[str]) -> list[VirtualDevice]:
        devices = self.devices
        return [devices[device_id] for device_id in device_ids if device_id in devices]

    def _read(self, device: VirtualDevice, at: float) -> DeviceTwin:
        twin = device.read_twin(at)
        return replace(twin, enabled=False) if device.device_id in self.disabled else twin

    def _targets(
        self, devices: Iterable[VirtualDevice], paths: Sequence[str]
    ) -> list[TargetDevice]:
        return [TargetDevice(item.device_id, item.stratum if paths else "") for item in devices]

    def _invoke(self, device_id: str, payload: Mapping[str, Any], now: float) -> MethodOutcome:
        scripted = self.scripted_outcomes.get(device_id)
        if scripted:
            return scripted.pop(0)
        device = self.devices.get(device_id)
        if device is None or device_id in self.disabled:
            return _UNKNOWN
        if not device.is_online(now):
            return _OFFLINE
        if device.lose_requests > 0:
            device.lose_requests -= 1
            return Lost("The request to the device was lost.")
        response = device.receive_method(payload, now, self.meter.report)
        if device.lose_responses > 0:
            device.lose_responses -= 1
            return Lost("The device's response was lost.")
        return Responded(response)
