"""Where identities and twins are kept, and who is told when one changes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.hub.model.device import Device
from simulator.hub.model.errors import device_not_found, module_not_found
from simulator.hub.model.twin import Twin


@dataclass(frozen=True, slots=True)
class Entry:
    """One device or module at one moment.

    `serial` grows with every registration and is never used again.
    """

    serial: int
    device: Device
    twin: Twin


type Watcher = Callable[[str, Entry | None], None]
"""Told of every change: the identity's key and its new entry, or None once it is gone."""


type Journal = Callable[[str, Entry | None, Entry | None], None]
"""Told of a change before it is made: the key, the old entry and the new. May raise, and then
nothing is changed."""


class Store:
    """Devices and modules by key, each in the order of registration. Keys are case-sensitive."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.modules: dict[str, Entry] = {}
        self._modules_of: dict[str, dict[str, None]] = {}
        self._serial = 0
        self._watchers: list[Watcher] = []
        self._untold: deque[tuple[str, Entry | None]] = deque()
        self.journal: Journal | None = None

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def get(self, key: str) -> Entry:
        """Raises DEVICE_NOT_FOUND or MODULE_NOT_FOUND."""
        entry = self.entries.get(key) or self.modules.get(key)
        if entry is None:
            raise self._not_found(key)
        return entry

    def has(self, key: str) -> bool:
        return key in self.entries or key in self.modules

    def modules_of(self, device_id: str) -> list[Entry]:
        return [self.modules[key] for key in self._modules_of.get(device_id, ())]

    def add(self, device: Device, twin: Twin) -> None:
        self._serial += 1
        self._put(Entry(self._serial, device, twin))

    def restore(self, entry: Entry) -> None:
        """Put back what was kept from an earlier run."""
        self._serial = max(self._serial, entry.serial)
        self._put(entry)

    def put_device(self, device: Device) -> None:
        """Replace the identity, leaving the twin."""
        entry = self.get(device.key)
        self._put(Entry(entry.serial, device, entry.twin))

    def put_twin(self, key: str, twin: Twin) -> None:
        """Replace the twin, leaving the identity."""
        entry = self.get(key)
        self._put(Entry(entry.serial, entry.device, twin))

    def remove(self, key: str) -> None:
        """A device's modules go with it, and before it."""
        for module in self.modules_of(key):
            self._remove_module(module.device)
        if key in self.modules:
            self._remove_module(self.modules[key].device)
        else:
            self._note(key, self.entries[key], None)
            del self.entries[key]
            self._tell(key, None)

    def _remove_module(self, module: Device) -> None:
        self._note(module.key, self.modules[module.key], None)
        del self.modules[module.key]
        siblings = self._modules_of[module.device_id]
        del siblings[module.key]
        if not siblings:
            del self._modules_of[module.device_id]
        self._tell(module.key, None)

    def _put(self, entry: Entry) -> None:
        device, key = entry.device, entry.device.key
        kept = self.entries if device.module_id is None else self.modules
        self._note(key, kept.get(key), entry)
        kept[key] = entry
        if device.module_id is not None:
            self._modules_of.setdefault(device.device_id, {})[key] = None
        self._tell(key, entry)

    def _note(self, key: str, old: Entry | None, new: Entry | None) -> None:
        if self.journal is not None:
            self.journal(key, old, new)

    def _tell(self, key: str, entry: Entry | None) -> None:
        """What a watcher changes in turn is told to all once they know of this change."""
        self._untold.append((key, entry))
        if len(self._untold) > 1:
            return
        try:
            while self._untold:
                for watcher in self._watchers:
                    watcher(*self._untold[0])
                self._untold.popleft()
        finally:
            self._untold.clear()

    def _not_found(self, key: str) -> Exception:
        """A module of a device that is not there is a device not found (unverified)."""
        device_id, slash, module_id = key.partition("/")
        if slash and device_id in self.entries:
            return module_not_found(device_id, module_id)
        return device_not_found(key)
