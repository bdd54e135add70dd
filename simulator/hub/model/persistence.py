"""The state that outlives the process: identities with their twins, and configurations.

Each is one record, replaced as a whole. Connections, jobs, messages and counters are not stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Protocol

from simulator.hub.model.configuration import Configuration, ConfigurationSettings
from simulator.hub.model.configurations import Configurations
from simulator.hub.model.device import (
    Authentication,
    AuthenticationType,
    ConnectionState,
    Device,
    Status,
)
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.json_types import Document
from simulator.hub.model.store import Entry, Store
from simulator.hub.model.twin import Section, Twin


class StateError(Exception):
    """State that cannot be read, or cannot be stored."""


class Kind(StrEnum):
    """What a record describes."""

    DEVICE = "device"
    MODULE = "module"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Record:
    """One identity with its twin, or one configuration."""

    kind: Kind
    key: str
    """The identity's key or the configuration's id; unique within the kind."""
    serial: int
    """Order of registration within the kind."""
    document: Document


class Table(Protocol):
    """Storage of records. A change is durable against a kill when its method returns."""

    def put(self, record: Record) -> None:
        """Insert or replace a record. Raises StateError and then stores nothing."""

    def remove(self, kind: Kind, key: str) -> None:
        """Remove a record. Raises StateError and then removes nothing."""


class Persistence:
    """Restores a store and the configurations, then stores every change before it is made."""

    def __init__(self, store: Store, configurations: Configurations) -> None:
        self._store = store
        self._configurations = configurations
        self._table: Table | None = None
        store.journal = self._on_change
        configurations.journal = self._on_configuration_change

    def restore(self, records: Iterable[Record]) -> None:
        """Add the records of an earlier run, devices before modules. Raises StateError."""
        for record in records:
            try:
                self._add(record)
            except (KeyError, TypeError, ValueError, AttributeError, HubError) as error:
                raise StateError(f"invalid {record.kind} {record.key}: {error!r}") from error
        entries = (*self._store.entries.values(), *self._store.modules.values())
        if any(entry.twin.configurations for entry in entries):
            # The configuration may have been deleted just before the hub ended.
            self._configurations.run_soon()

    def store_in(self, table: Table | None) -> None:
        """Store every later change in `table`; None stores nothing."""
        self._table = table

    def _add(self, record: Record) -> None:
        if record.kind is Kind.CONFIGURATION:
            self._configurations.restore(_configuration(record))
        else:
            self._store.restore(_entry(record))

    def _on_change(self, key: str, old: Entry | None, new: Entry | None) -> None:
        """Store a changed identity or twin; connecting and sending change neither."""
        if self._table is None:
            return
        if new is None:
            self._remove(_kind(old), key)
        elif old is None or old.twin is not new.twin or _identity_differs(old.device, new.device):
            self._put(Record(_kind(new), key, new.serial, _entry_document(new)))

    def _on_configuration_change(self, configuration_id: str, new: Configuration | None) -> None:
        if new is None:
            self._remove(Kind.CONFIGURATION, configuration_id)
        else:
            document = _fields(new) | {"settings": _fields(new.settings)}
            self._put(Record(Kind.CONFIGURATION, configuration_id, new.serial, document))

    def _put(self, record: Record) -> None:
        if self._table is not None:
            try:
                self._table.put(record)
            except StateError as error:
                raise _not_stored(error) from error

    def _remove(self, kind: Kind, key: str) -> None:
        if self._table is not None:
            try:
                self._table.remove(kind, key)
            except StateError as error:
                raise _not_stored(error) from error


def _not_stored(error: StateError) -> HubError:
    """Return the error that REST, MQTT and jobs report, a full disk for example."""
    return HubError(ErrorCode.SERVER_ERROR, f"the change could not be stored: {error}")


def _kind(entry: Entry | None) -> Kind:
    is_module = entry is not None and entry.device.module_id is not None
    return Kind.MODULE if is_module else Kind.DEVICE


def _identity_differs(old: Device, new: Device) -> bool:
    return (old.etag, old.status) != (new.etag, new.status)


_FIELD_NAMES = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (Device, Authentication, Twin, Section, Configuration, ConfigurationSettings)
}


def _fields(value: Any) -> Document:
    """Return the fields of a dataclass by name, without copying their values."""
    return {name: getattr(value, name) for name in _FIELD_NAMES[type(value)]}


def _entry_document(entry: Entry) -> Document:
    device, twin = entry.device, entry.twin
    return {
        "device": _fields(device) | {"authentication": _fields(device.authentication)},
        "twin": _fields(twin)
        | {"desired": _fields(twin.desired), "reported": _fields(twin.reported)},
    }


def _entry(record: Record) -> Entry:
    """Return the entry of a record, disconnected: a device must connect again."""
    document: Any = record.document
    device, twin = document["device"], document["twin"]
    authentication = device["authentication"]
    device |= {
        "status": Status(device["status"]),
        "connection_state": ConnectionState.DISCONNECTED,
        "parent_scopes": tuple(device["parent_scopes"]),
        "authentication": replace(
            Authentication(**authentication), type=AuthenticationType(authentication["type"])
        ),
    }
    twin |= {name: Section(**twin[name]) for name in ("desired", "reported")}
    return Entry(record.serial, Device(**device), Twin(**twin))


def _configuration(record: Record) -> Configuration:
    document: Any = record.document
    return Configuration(**document | {"settings": ConfigurationSettings(**document["settings"])})
