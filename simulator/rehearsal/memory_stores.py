"""Stand in for Table Storage: all stores in memory, for one thread."""

from collections.abc import Sequence
from datetime import datetime

from functions.errors import LostRaceError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import Page, Stored
from functions.rollout_store.ports.webhooks import Controls
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.quarantine import FailureRecord
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.webhook import DeliveryPosition, Webhook
from simulator.rehearsal.memory_records import Records, Versions, page, to_text
from simulator.rehearsal.memory_retention import MemoryRetentionStore
from simulator.rehearsal.memory_rollouts import MemoryRolloutStore
from simulator.rehearsal.memory_targets import MemoryTargetStore


class MemoryStores:
    """Implement `functions.rollout_store.ports.stores.Stores`."""

    def __init__(self) -> None:
        versions = Versions()
        self.rollouts = MemoryRolloutStore(versions)
        self.targets = MemoryTargetStore(self.rollouts)
        self.catalogue = MemoryFirmwareCatalogue(versions)
        self.budget = MemoryBudgetStore(versions)
        self.freezes = MemoryFreezeStore(versions)
        self.webhooks = MemoryWebhookStore(versions, self.budget, self.freezes)
        self.quarantine = MemoryQuarantineStore(versions)
        self.locks = MemoryDeviceLockStore(versions)
        self.keys = MemoryIdempotencyKeys(versions)
        self.retention = MemoryRetentionStore(self.rollouts, self.targets, self.keys.remove_of)

    def ping(self) -> None:
        return None


class MemoryFirmwareCatalogue:
    """Implement `functions.rollout_store.ports.firmware_catalogue.FirmwareCatalogue`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._entries: dict[str, Stored[CatalogueEntry]] = {}  # by name

    def get(self, name: str) -> Firmware | None:
        stored = self._entries.get(name)
        return stored.record.firmware if stored else None

    def save(self, firmware: Firmware, name: str | None = None) -> None:
        self._store(name or firmware.version, CatalogueEntry(firmware=firmware))

    def get_entry(self, version: str) -> Stored[CatalogueEntry] | None:
        stored = self._entries.get(version)
        return stored if stored and stored.record.firmware.version == version else None

    def save_entry(self, entry: CatalogueEntry, version: str | None) -> str:
        stored = self.get_entry(entry.firmware.version)
        if version != (stored.version if stored else None):
            raise LostRaceError("The firmware was changed by another request.")
        return self._store(entry.firmware.version, entry)

    def list_entries(self, limit: int, cursor: str | None) -> Page[CatalogueEntry]:
        after = to_text("firmware", cursor)
        own = (name for name in sorted(self._entries) if self.get_entry(name) is not None)
        found = ((name, self._entries[name].record) for name in own if name >= after)
        return page("firmware", found, limit)

    def _store(self, name: str, entry: CatalogueEntry) -> str:
        self._entries[name] = Stored(entry, self._versions.next())
        return self._entries[name].version


class MemoryBudgetStore:
    """Implement `functions.rollout_store.ports.budget.BudgetStore`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._stored: Stored[Budget] | None = None

    def get(self) -> Stored[Budget] | None:
        return self._stored

    def save(self, budget: Budget, version: str | None) -> str:
        if version != (self._stored.version if self._stored else None):
            raise LostRaceError("The budget was changed by another tick.")
        self._stored = Stored(budget, self._versions.next())
        return self._stored.version


class MemoryFreezeStore:
    """Implement `functions.rollout_store.ports.freezes.FreezeStore`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._stored: Stored[Freeze] | None = None

    def get(self) -> Stored[Freeze] | None:
        return self._stored

    def save(self, freeze: Freeze, version: str | None) -> str:
        if version != (self._stored.version if self._stored else None):
            raise LostRaceError("The freeze was changed by another request.")
        self._stored = Stored(freeze, self._versions.next())
        return self._stored.version


class MemoryWebhookStore:
    """Implement `functions.rollout_store.ports.webhooks.WebhookStore`."""

    def __init__(
        self, versions: Versions, budgets: MemoryBudgetStore, freezes: MemoryFreezeStore
    ) -> None:
        self._webhooks = Records[Webhook](versions)
        self._positions = Records[DeliveryPosition](versions)
        self._names: set[str] = set()
        self._budgets = budgets
        self._freezes = freezes

    def read_controls(self) -> Controls:
        freeze = self._freezes.get()
        found = [stored.record for name in sorted(self._names) if (stored := self.get(name))]
        return Controls(self._budgets.get(), freeze.record if freeze else None, found)

    def get(self, name: str) -> Stored[Webhook] | None:
        return self._webhooks.get(name)

    def save(self, webhook: Webhook, version: str | None) -> str:
        self._names.add(webhook.name)
        return _save(self._webhooks, webhook.name, webhook, version)

    def delete(self, name: str, version: str) -> None:
        stored = self.get(name)
        if stored is None:
            raise LostRaceError("The webhook was deleted by another request.")
        self._webhooks.delete(name, Stored(stored.record, version))

    def get_position(self, rollout_id: str, name: str) -> Stored[DeliveryPosition] | None:
        return self._positions.get(f"{rollout_id}/{name}")

    def save_position(
        self, rollout_id: str, name: str, position: DeliveryPosition, version: str | None
    ) -> str:
        return _save(self._positions, f"{rollout_id}/{name}", position, version)


def _save[T](records: Records[T], key: str, record: T, version: str | None) -> str:
    saved = (
        records.add(key, record) if version is None else records.save(key, Stored(record, version))
    )
    return saved.version


class MemoryQuarantineStore:
    """Implement `functions.rollout_store.ports.quarantine.QuarantineStore`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._records: dict[str, Stored[FailureRecord]] = {}

    def get(self, device_id: str) -> Stored[FailureRecord] | None:
        return self._records.get(device_id)

    def save(self, record: FailureRecord, version: str | None) -> str:
        stored = self._records.get(record.device_id)
        if version != (stored.version if stored else None):
            raise LostRaceError("The failures were changed by another request.")
        saved = self._records[record.device_id] = Stored(record, self._versions.next())
        return saved.version

    def list_quarantined(self, now: datetime) -> Sequence[FailureRecord]:
        records = [stored.record for stored in self._records.values()]
        return [record for record in records if record.is_quarantined(now)]


class MemoryDeviceLockStore:
    """Implement `functions.rollout_store.ports.device_locks.DeviceLockStore`."""

    def __init__(self, versions: Versions) -> None:
        self._locks = Records[DeviceLock](versions)

    def get(self, device_id: str) -> Stored[DeviceLock] | None:
        return self._locks.get(device_id)

    def add(self, device_id: str, lock: DeviceLock) -> Stored[DeviceLock]:
        return self._locks.add(device_id, lock)

    def save(self, device_id: str, lock: Stored[DeviceLock]) -> Stored[DeviceLock]:
        return self._locks.save(device_id, lock)


class MemoryIdempotencyKeys:
    """Implement `functions.rollout_store.ports.idempotency_keys.IdempotencyKeys`."""

    def __init__(self, versions: Versions) -> None:
        self._uses = Records[KeyUse](versions)

    def get(self, key: str) -> Stored[KeyUse] | None:
        return self._uses.get(key)

    def add(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        return self._uses.add(key, use)

    def save(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        return self._uses.save(key, use)

    def delete(self, key: str, use: Stored[KeyUse]) -> None:
        self._uses.delete(key, use)

    def remove_of(self, rollout_id: str) -> None:
        """Remove the key that a rollout was created with, if it was created with one."""
        for key, use in self._uses.items():
            if use.record.rollout_id == rollout_id:
                self._uses.delete(key, use)
