"""Open the stores on Azure Table Storage."""

from azure.core.credentials import TokenCredential

from functions.last_calls import LastCall
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.budget import TableBudgetStore
from functions.rollout_store.table_storage.device_locks import TableDeviceLockStore
from functions.rollout_store.table_storage.firmware_catalogue import TableFirmwareCatalogue
from functions.rollout_store.table_storage.freezes import TableFreezeStore
from functions.rollout_store.table_storage.idempotency_keys import TableIdempotencyKeys
from functions.rollout_store.table_storage.quarantine import TableQuarantineStore
from functions.rollout_store.table_storage.retention import TableRetentionStore
from functions.rollout_store.table_storage.rollouts import TableRolloutStore
from functions.rollout_store.table_storage.table import Table, open_table
from functions.rollout_store.table_storage.targets import TableTargetStore
from functions.rollout_store.table_storage.webhooks import TableWebhookStore


def open_table_stores(
    source: str,
    credential: TokenCredential | None,
    last_call: LastCall | None = None,
    *,
    create: bool = True,
) -> "TableStores":
    """Open the stores at a connection string or, with a credential, at a table service's URL.

    With `create`, creates the table if it is missing. Records in `last_call` whether the service
    responds. Raises SettingsError, StorageUnavailableError.
    """
    return TableStores(open_table(keys.TABLE, source, credential, last_call, create=create))


class TableStores:
    """Implement `ports.stores.Stores`. Threads may share it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.rollouts = TableRolloutStore(table)
        self.retention = TableRetentionStore(table)
        self.targets = TableTargetStore(table, self.rollouts)
        self.catalogue = TableFirmwareCatalogue(table)
        self.budget = TableBudgetStore(table)
        self.freezes = TableFreezeStore(table)
        self.webhooks = TableWebhookStore(table)
        self.quarantine = TableQuarantineStore(table)
        self.locks = TableDeviceLockStore(table)
        self.keys = TableIdempotencyKeys(table)

    def ping(self) -> None:
        self._table.get(keys.ROLLOUTS, "none")
