"""Where identities and twins are kept, and who is told when one changes."""

from collections.abc import Callable
from dataclasses import dataclass

from simulator.hub.model.device import Device
from simulator.hub.model.errors import device_not_found
from simulator.hub.model.twin import Twin


@dataclass(frozen=True, slots=True)
class Entry:
    """One device at one moment. `serial` grows with every registration and is never used again."""

    serial: int
    device: Device
    twin: Twin


type Watcher = Callable[[str, Entry | None], None]
"""Told of every change: the device id and its new entry, or None once it is gone."""


class Store:
    """Entries by device id, in the order of registration. Ids are case-sensitive."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._serial = 0
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def get(self, device_id: str) -> Entry:
        """Raises DEVICE_NOT_FOUND."""
        try:
            return self.entries[device_id]
        except KeyError:
            raise device_not_found(device_id) from None

    def add(self, device: Device, twin: Twin) -> None:
        self._serial += 1
        self._put(Entry(self._serial, device, twin))

    def put_device(self, device: Device) -> None:
        """Replace the identity, leaving the twin."""
        entry = self.get(device.device_id)
        self._put(Entry(entry.serial, device, entry.twin))

    def put_twin(self, device_id: str, twin: Twin) -> None:
        """Replace the twin, leaving the identity."""
        entry = self.get(device_id)
        self._put(Entry(entry.serial, entry.device, twin))

    def remove(self, device_id: str) -> None:
        del self.entries[device_id]
        self._tell(device_id, None)

    def _put(self, entry: Entry) -> None:
        device_id = entry.device.device_id
        self.entries[device_id] = entry
        self._tell(device_id, entry)

    def _tell(self, device_id: str, entry: Entry | None) -> None:
        for watcher in self._watchers:
            watcher(device_id, entry)
