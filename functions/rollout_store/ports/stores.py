"""The stores of one storage backend, together."""

from typing import Protocol

from functions.rollout_store.ports.budget import BudgetStore
from functions.rollout_store.ports.device_locks import DeviceLockStore
from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollout_store.ports.freezes import FreezeStore
from functions.rollout_store.ports.idempotency_keys import IdempotencyKeys
from functions.rollout_store.ports.quarantine import QuarantineStore
from functions.rollout_store.ports.retention import RetentionStore
from functions.rollout_store.ports.rollouts import RolloutStore
from functions.rollout_store.ports.targets import TargetStore
from functions.rollout_store.ports.webhooks import WebhookStore


class Stores(Protocol):
    """The stores by subject. A use case takes the ones it needs."""

    @property
    def rollouts(self) -> RolloutStore: ...

    @property
    def retention(self) -> RetentionStore: ...

    @property
    def targets(self) -> TargetStore: ...

    @property
    def catalogue(self) -> FirmwareCatalogue: ...

    @property
    def budget(self) -> BudgetStore: ...

    @property
    def freezes(self) -> FreezeStore: ...

    @property
    def webhooks(self) -> WebhookStore: ...

    @property
    def quarantine(self) -> QuarantineStore: ...

    @property
    def locks(self) -> DeviceLockStore: ...

    @property
    def keys(self) -> IdempotencyKeys: ...

    def ping(self) -> None:
        """Read one record; return if the storage responds. Raises StorageUnavailableError."""
