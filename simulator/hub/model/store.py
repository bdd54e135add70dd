"""The store of identities and twins, which notifies watchers of every change."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.hub.model.device import Device
from simulator.hub.model.errors import device_not_found, module_not_found
from simulator.hub.model.twin import Twin


@dataclass(frozen=True, slots=True)
class Entry:
    """One device or module at one moment."""

    serial: int
    """Grows with every registration and is never reused."""
    device: Device
    twin: Twin


type Watcher = Callable[[str, Entry | None], None]
"""Called after every change: the identity's key and its new entry, or None if it was removed."""


type Journal = Callable[[str, Entry | None, Entry | None], None]
"""Called before a change is made: the key, the old entry and the new one. If it raises, nothing is
changed."""


class Store:
    """Devices and modules by key, each in the order of registration. Keys are case-sensitive."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.modules: dict[str, Entry] = {}
        self._modules_of: dict[str, dict[str, None]] = {}
        self._serial = 0
        self._watchers: list[Watcher] = []
        self._unsent: deque[tuple[str, Entry | None]] = deque()
        self.journal: Journal | None = None

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def get(self, key: str) -> Entry:
        """Return an entry. Raises DEVICE_NOT_FOUND or MODULE_NOT_FOUND."""
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
        """Add an entry that an earlier run stored."""
        self._serial = max(self._serial, entry.serial)
        self._put(entry)

    def put_device(self, device: Device) -> None:
        """Replace an identity; its twin stays."""
        entry = self.get(device.key)
        self._put(Entry(entry.serial, device, entry.twin))

    def put_twin(self, key: str, twin: Twin) -> None:
        """Replace a twin; its identity stays."""
        entry = self.get(key)
        self._put(Entry(entry.serial, entry.device, twin))

    def remove(self, key: str) -> None:
        """Remove an identity. A device's modules are removed before it."""
        for module in self.modules_of(key):
            self._remove_module(module.device)
        if key in self.modules:
            self._remove_module(self.modules[key].device)
        else:
            self._record(key, self.entries[key], None)
            del self.entries[key]
            self._notify(key, None)

    def _remove_module(self, module: Device) -> None:
        self._record(module.key, self.modules[module.key], None)
        del self.modules[module.key]
        siblings = self._modules_of[module.device_id]
        del siblings[module.key]
        if not siblings:
            del self._modules_of[module.device_id]
        self._notify(module.key, None)

    def _put(self, entry: Entry) -> None:
        device, key = entry.device, entry.device.key
        kept = self.entries if device.module_id is None else self.modules
        self._record(key, kept.get(key), entry)
        kept[key] = entry
        if device.module_id is not None:
            self._modules_of.setdefault(device.device_id, {})[key] = None
        self._notify(key, entry)

    def _record(self, key: str, old: Entry | None, new: Entry | None) -> None:
        if self.journal is not None:
            self.journal(key, old, new)

    def _notify(self, key: str, entry: Entry | None) -> None:
        """Notify all watchers. A change made by a watcher is told after this one."""
        self._unsent.append((key, entry))
        if len(self._unsent) > 1:
            return
        try:
            while self._unsent:
                for watcher in self._watchers:
                    watcher(*self._unsent[0])
                self._unsent.popleft()
        finally:
            self._unsent.clear()

    def _not_found(self, key: str) -> Exception:
        """Return the error; a module of an unknown device is a device not found (unverified)."""
        device_id, slash, module_id = key.partition("/")
        if slash and device_id in self.entries:
            return module_not_found(device_id, module_id)
        return device_not_found(key)
