"""The identity registry: create, update, delete, list, count.

Source: Microsoft Learn, "Understand the identity registry in your IoT hub", and the REST
reference, "Devices".
"""

import base64
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from simulator.hub.model.clock import Clock
from simulator.hub.model.device import (
    Authentication,
    AuthenticationType,
    Device,
    DeviceSettings,
    Status,
    check_device_id,
    check_key,
    identity_etag,
    identity_key,
)
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.store import Store
from simulator.hub.model.twin import new_twin

MAX_LIST = 1000
MAX_MODULES = 50
"""Modules of one device ("IoT Hub quotas and throttling", "Other limits")."""
_KEY_BYTES = 32

type Etag = str | None
"""A caller's If-Match without quotes; None if absent, `*` for any."""


def check_etag(wanted: Etag, current: str) -> None:
    """Raise PRECONDITION_FAILED unless the caller's ETag is absent, `*` or the current one."""
    if wanted not in (None, "*", current):
        raise HubError(
            ErrorCode.PRECONDITION_FAILED, f"the ETag is {current!r}, the request has {wanted!r}"
        )


class Registry:
    """The identity registry. `random_bytes` is used for keys and generation ids."""

    def __init__(self, store: Store, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    def get(self, device_id: str) -> Device:
        """Return an identity. Raises DEVICE_NOT_FOUND."""
        return self._store.get(device_id).device

    def has(self, device_id: str) -> bool:
        return self._store.has(device_id)

    def modules_of(self, device_id: str) -> list[Device]:
        """Return a device's modules. Raises DEVICE_NOT_FOUND."""
        self.get(device_id)
        return [entry.device for entry in self._store.modules_of(device_id)]

    def first(self, count: int) -> list[Device]:
        """Return the first devices in order of registration, at most MAX_LIST."""
        entries = islice(self._store.entries.values(), min(count, MAX_LIST))
        return [entry.device for entry in entries]

    def statistics(self) -> tuple[int, int, int]:
        """Return the number of all, of enabled and of disabled devices."""
        total = len(self._store.entries)
        enabled = sum(
            entry.device.status is Status.ENABLED for entry in self._store.entries.values()
        )
        return total, enabled, total - enabled

    def create(self, settings: DeviceSettings) -> Device:
        """Register a device or a module.

        Raises DEVICE_ALREADY_EXISTS, MODULE_ALREADY_EXISTS_ON_DEVICE, DEVICE_NOT_FOUND for a
        module without device, ARGUMENT_INVALID.
        """
        device_id = check_device_id(settings.device_id)
        device = Device(
            device_id=device_id,
            module_id=settings.module_id,
            managed_by=settings.managed_by,
            generation_id=str(int.from_bytes(self._random_bytes(7))),
            etag=int.from_bytes(self._random_bytes(3)) + 1,
            status=settings.status,
            status_reason=settings.status_reason,
            status_updated=None,
            authentication=self._complete_keys(settings.authentication),
            iot_edge=settings.iot_edge,
            device_scope=settings.device_scope,
            parent_scopes=settings.parent_scopes,
        )
        if settings.module_id is not None:
            device = self._checked_module(device, settings.module_id)
        elif device_id in self._store.entries:
            raise HubError(ErrorCode.DEVICE_ALREADY_EXISTS, f"device {device_id} already exists")
        self._store.add(device, new_twin(self._clock.now()))
        return device

    def update(self, settings: DeviceSettings, etag: Etag) -> Device:
        """Replace what a caller may write. Raises DEVICE_NOT_FOUND or PRECONDITION_FAILED."""
        device = self.get(identity_key(settings.device_id, settings.module_id))
        check_etag(etag, identity_etag(device.etag))
        if settings.module_id is not None:
            settings = replace(settings, status=device.status)
        changed = device.status is not settings.status
        updated = replace(
            device,
            etag=device.etag + 1,
            status=settings.status,
            status_reason=settings.status_reason,
            status_updated=self._clock.now() if changed else device.status_updated,
            authentication=self._complete_keys(settings.authentication),
            iot_edge=settings.iot_edge,
            device_scope=settings.device_scope,
            parent_scopes=settings.parent_scopes,
            managed_by=settings.managed_by,
        )
        self._store.put_device(updated)
        if changed:
            self._update_modules(updated)
        return self.get(updated.key)

    def delete(self, device_id: str, etag: Etag) -> None:
        """Remove identity and twin. Raises DEVICE_NOT_FOUND or PRECONDITION_FAILED."""
        check_etag(etag, identity_etag(self.get(device_id).etag))
        self._store.remove(device_id)

    def _checked_module(self, module: Device, module_id: str) -> Device:
        check_device_id(module_id)
        owner = self.get(module.device_id)
        if self._store.has(module.key):
            raise HubError(
                ErrorCode.MODULE_ALREADY_EXISTS_ON_DEVICE,
                f"device {module.device_id} already has module {module_id}",
            )
        if len(self._store.modules_of(module.device_id)) >= MAX_MODULES:
            raise HubError(
                ErrorCode.TOO_MANY_MODULES_ON_DEVICE,
                f"device {module.device_id} has {MAX_MODULES} modules already",
            )
        return replace(module, status=owner.status)

    def _update_modules(self, device: Device) -> None:
        """Give a device's status to its modules, so that they are refused with it."""
        for module in self._store.modules_of(device.device_id):
            self._store.put_device(replace(module.device, status=device.status))

    def _complete_keys(self, authentication: Authentication) -> Authentication:
        """Generate the keys that are empty."""
        if authentication.type is not AuthenticationType.SAS:
            return authentication
        return replace(
            authentication,
            primary_key=check_key(authentication.primary_key or self._new_key()),
            secondary_key=check_key(authentication.secondary_key or self._new_key()),
        )

    def _new_key(self) -> str:
        return base64.b64encode(self._random_bytes(_KEY_BYTES)).decode()
