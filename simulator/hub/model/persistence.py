"""What outlives the process, as JSON records: one per change, and one per thing as it stands.

    {"put": {...}}         an identity with its twin; replaces an earlier one of the same key
    {"removed": "key"}     an identity that is gone
    {"configuration": {...}}             an automatic configuration, and likewise
    {"configurationRemoved": "id"}

The records of a log, applied in order, give the state back. Who is connected, what jobs there are
and what has been counted is not kept.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from simulator.hub.model.configuration import Configuration, ConfigurationSettings
from simulator.hub.model.configurations import Configurations
from simulator.hub.model.device import Authentication, AuthenticationType, Device, Status
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.json_types import Document
from simulator.hub.model.store import Entry, Store
from simulator.hub.model.twin import Section, Twin

type Keep = Callable[[Document], None]
"""Writes a record where it is safe, or raises OSError; the change is made only if it returns."""


class StateError(Exception):
    """A record that this hub cannot have written."""


class Persistence:
    """Restores a store and the configurations, then keeps what changes in them."""

    def __init__(self, store: Store, configurations: Configurations):
        self._store = store
        self._configurations = configurations
        self._keep: Keep | None = None
        store.journal = self._changing
        configurations.journal = self._configuration_changing

    def restore(self, records: Iterable[Document]) -> None:
        """Apply the records of an earlier run. Raises StateError."""
        for record in records:
            try:
                self._apply(record)
            except (KeyError, TypeError, ValueError, AttributeError, HubError) as error:
                raise StateError(f"not a record of this hub's state: {error!r}") from error
        entries = (*self._store.entries.values(), *self._store.modules.values())
        if any(entry.twin.configurations for entry in entries):
            # Perhaps of a configuration that was deleted just before the end.
            self._configurations.run_soon()

    def snapshot(self) -> Iterator[Document]:
        """The records that give the present state: devices before their modules."""
        for entries in (self._store.entries, self._store.modules):
            for entry in entries.values():
                yield {"put": _entry_record(entry)}
        for configuration in self._configurations.all.values():
            yield {"configuration": _configuration_record(configuration)}

    def keep_with(self, keep: Keep) -> None:
        """From now on, hand every lasting change to `keep` before it is made."""
        self._keep = keep

    def _apply(self, record: Document) -> None:
        match record:
            case {"put": dict(entry)}:
                self._store.restore(_entry(entry))
            case {"removed": str(key)}:
                self._store.remove(key)
            case {"configuration": dict(configuration)}:
                self._configurations.restore(_configuration(configuration))
            case {"configurationRemoved": str(configuration_id)}:
                self._configurations.delete(configuration_id, None)
            case _:
                raise ValueError(f"no such record: {sorted(record)}")

    def _changing(self, key: str, old: Entry | None, new: Entry | None) -> None:
        """Coming, going and sending of devices is no lasting change."""
        if new is None:
            self._write({"removed": key})
        elif old is None or old.twin is not new.twin or _identity_differs(old.device, new.device):
            self._write({"put": _entry_record(new)})

    def _configuration_changing(self, configuration_id: str, new: Configuration | None) -> None:
        if new is None:
            self._write({"configurationRemoved": configuration_id})
        else:
            self._write({"configuration": _configuration_record(new)})

    def _write(self, record: Document) -> None:
        """Raises SERVER_ERROR, so that every door and every job can tell of a full disk."""
        if self._keep is None:
            return
        try:
            self._keep(record)
        except OSError as error:
            raise HubError(ErrorCode.SERVER_ERROR, f"the state is not kept: {error}") from error


def _identity_differs(old: Device, new: Device) -> bool:
    return (old.etag, old.status) != (new.etag, new.status)


def _entry_record(entry: Entry) -> Document:
    device, authentication = entry.device, entry.device.authentication
    return {
        "serial": entry.serial,
        "deviceId": device.device_id,
        "moduleId": device.module_id,
        "managedBy": device.managed_by,
        "generationId": device.generation_id,
        "etag": device.etag,
        "status": device.status,
        "statusReason": device.status_reason,
        "statusUpdated": device.status_updated,
        "iotEdge": device.iot_edge,
        "deviceScope": device.device_scope,
        "parentScopes": list(device.parent_scopes),
        "connectionStateUpdated": device.connection_state_updated,
        "lastActivity": device.last_activity,
        "authentication": {
            "type": authentication.type,
            "keys": [authentication.primary_key, authentication.secondary_key],
            "thumbprints": [authentication.primary_thumbprint, authentication.secondary_thumbprint],
        },
        "twin": _twin_record(entry.twin),
    }


def _twin_record(twin: Twin) -> Document:
    return {
        "desired": _section_record(twin.desired),
        "reported": _section_record(twin.reported),
        "tags": twin.tags,
        "etag": twin.etag,
        "version": twin.version,
        "configurations": twin.configurations,
        "configured": twin.configured,
    }


def _section_record(section: Section) -> Document:
    return {
        "properties": section.properties,
        "metadata": section.metadata,
        "version": section.version,
    }


def _configuration_record(configuration: Configuration) -> Document:
    settings = configuration.settings
    return {
        "serial": configuration.serial,
        "created": configuration.created,
        "updated": configuration.updated,
        "etag": configuration.etag,
        "settings": {
            "configuration_id": settings.configuration_id,
            "content": settings.content,
            "schema_version": settings.schema_version,
            "labels": settings.labels,
            "target_condition": settings.target_condition,
            "priority": settings.priority,
            "metric_queries": settings.metric_queries,
        },
    }


def _configuration(record: Any) -> Configuration:
    return Configuration(**(record | {"settings": ConfigurationSettings(**record["settings"])}))


def _entry(record: Any) -> Entry:
    """Connected is only who connects again."""
    return Entry(int(record["serial"]), _device(record), _twin(record["twin"]))


def _device(record: Any) -> Device:
    return Device(
        device_id=record["deviceId"],
        module_id=record["moduleId"],
        managed_by=record["managedBy"],
        generation_id=record["generationId"],
        etag=int(record["etag"]),
        status=Status(record["status"]),
        status_reason=record["statusReason"],
        status_updated=record["statusUpdated"],
        iot_edge=bool(record["iotEdge"]),
        device_scope=record["deviceScope"],
        parent_scopes=tuple(record["parentScopes"]),
        connection_state_updated=record["connectionStateUpdated"],
        last_activity=record["lastActivity"],
        authentication=_authentication(record["authentication"]),
    )


def _authentication(record: Any) -> Authentication:
    primary_key, secondary_key = record["keys"]
    primary_thumbprint, secondary_thumbprint = record["thumbprints"]
    return Authentication(
        type=AuthenticationType(record["type"]),
        primary_key=primary_key,
        secondary_key=secondary_key,
        primary_thumbprint=primary_thumbprint,
        secondary_thumbprint=secondary_thumbprint,
    )


def _twin(record: Any) -> Twin:
    return Twin(
        desired=Section(**record["desired"]),
        reported=Section(**record["reported"]),
        tags=record["tags"],
        etag=int(record["etag"]),
        version=int(record["version"]),
        configurations=record["configurations"],
        configured=record["configured"],
    )
