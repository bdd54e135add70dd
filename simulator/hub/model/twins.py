"""Twin operations of services and devices, and notifications of desired properties.

Source: Microsoft Learn, "Understand and use device twins in IoT Hub", sections "Back-end
operations" and "Device operations".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from simulator.hub.model.clock import Clock
from simulator.hub.model.connections import Connections, Subscription
from simulator.hub.model.errors import invalid
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.registry import Etag, check_etag
from simulator.hub.model.store import Entry, Store
from simulator.hub.model.twin import (
    Twin,
    device_view,
    twin_etag,
    with_desired,
    with_reported,
    with_tags,
)
from simulator.hub.model.twin_document import check_patch


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinWrite:
    """Tags and desired properties of a PATCH or PUT. None clears a section.

    An absent section stays as it is; for PUT that is unverified.
    """

    has_tags: bool = False
    tags: Document | None = None
    has_desired: bool = False
    desired: Document | None = None

    def document(self) -> Document:
        """Return the write as it was sent, without what the caller cannot write."""
        document: Document = {"tags": self.tags} if self.has_tags else {}
        if self.has_desired:
            document["properties"] = {"desired": self.desired}
        return document


def read_twin_write(body: Json) -> TwinWrite:
    """Read and check the body of a twin PATCH or PUT. Raises ARGUMENT_INVALID.

    All else in it, reported properties included, is ignored: a service cannot write it.
    """
    document = _object(body, "the body") or {}
    properties = _object(document.get("properties"), "properties") or {}
    tags = _object(document.get("tags"), "tags")
    desired = _object(properties.get("desired"), "properties.desired")
    return TwinWrite(
        has_tags="tags" in document,
        tags=tags and check_patch(tags, "tags"),
        has_desired="desired" in properties,
        desired=desired and check_patch(desired, "properties.desired"),
    )


class Twins:
    """The twins of the store. A write that raises changes nothing."""

    def __init__(self, store: Store, clock: Clock, connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self.on_service_write: list[Callable[[str, TwinWrite, int], None]] = []
        """Called with the twin's key, the write, and the new version of the desired properties."""

    def get(self, device_id: str) -> Entry:
        """Return an entry. Raises DEVICE_NOT_FOUND."""
        return self._store.get(device_id)

    def patch(self, device_id: str, write: TwinWrite, etag: Etag) -> Entry:
        """Merge tags and desired properties. Raises HubError."""
        twin = self._store.get(device_id).twin
        check_etag(etag, twin_etag(twin.etag))
        desired = write.desired
        if write.has_desired and desired is None:
            desired = dict.fromkeys(twin.desired.properties)
        if write.has_tags:
            twin = with_tags(twin, write.tags)
        return self._notify_watchers(write, self._write_desired(device_id, twin, desired, desired))

    def replace(self, device_id: str, write: TwinWrite, etag: Etag) -> Entry:
        """Replace tags and desired properties. Raises as `patch`.

        The device is sent all new desired properties, with a null for every removed key; the
        exact form is unverified.
        """
        twin = self._store.get(device_id).twin
        check_etag(etag, twin_etag(twin.etag))
        if write.has_tags:
            twin = with_tags(replace(twin, tags={}), write.tags)
        if not write.has_desired:
            return self._notify_watchers(write, self._write_desired(device_id, twin, None, None))
        cleared: Document = dict.fromkeys(twin.desired.properties)
        empty = replace(twin.desired, properties={}, metadata={})
        wanted = write.desired or {}
        twin = replace(twin, desired=empty)
        entry = self._write_desired(device_id, twin, wanted, cleared | wanted)
        return self._notify_watchers(write, entry)

    def configure(
        self, device_id: str, desired: Document, configurations: Document, configured: Document
    ) -> None:
        """Write desired properties and the status of automatic configurations.

        Without `desired` only the status changes. Raises as `patch`.
        """
        twin = replace(
            self._store.get(device_id).twin, configurations=configurations, configured=configured
        )
        if desired:
            write = TwinWrite(has_desired=True, desired=desired)
            self._notify_watchers(write, self._write_desired(device_id, twin, desired, desired))
        else:
            self._store.put_twin(device_id, twin)

    def report(self, device_id: str, patch: Json) -> int:
        """Merge what a device reports and return the section's new `$version`."""
        document = _object(patch, "the reported properties")
        if document is None:
            raise invalid("the reported properties must be a JSON object")
        twin = self._store.get(device_id).twin
        checked = check_patch(document, "properties.reported")
        twin = with_reported(twin, checked, self._clock.now())
        self._store.put_twin(device_id, twin)
        return twin.reported.version

    def device_view(self, device_id: str) -> Document:
        """Return the twin as the device itself may read it."""
        return device_view(self._store.get(device_id).twin)

    def _notify_watchers(self, write: TwinWrite, entry: Entry) -> Entry:
        for callback in self.on_service_write:
            callback(entry.device.key, write, entry.twin.desired.version)
        return entry

    def _write_desired(
        self, device_id: str, twin: Twin, desired: Document | None, notice: Document | None
    ) -> Entry:
        if desired is not None:
            twin = with_desired(twin, desired, self._clock.now())
        twin = replace(twin, etag=twin.etag + 1, version=twin.version + 1)
        self._store.put_twin(device_id, twin)
        if notice is not None:
            self._notify(device_id, notice, twin.desired.version)
        return self._store.get(device_id)

    def _notify(self, device_id: str, notice: Document, version: int) -> None:
        link = self._connections.subscriber(device_id, Subscription.DESIRED_CHANGES)
        if link is not None:
            link.send_desired(notice, version)


def _object(value: Json, where: str) -> Document | None:
    if value is None or isinstance(value, dict):
        return value
    raise invalid(f"{where} must be a JSON object")
