"""Options of the proxy; importing them imports no server, which every command would pay for."""

from dataclasses import dataclass, field

from simulator import azurite
from simulator.storage_proxy.faults import StorageFaultPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageProxyOptions:
    """Where the proxy listens, on the storage emulator's address, and what it does."""

    blob_port: int
    queue_port: int
    table_port: int
    plan: StorageFaultPlan = field(default_factory=StorageFaultPlan)

    def connection_string(self, address: str) -> str:
        """Return the value of `AzureWebJobsStorage` that goes through the proxy."""
        return azurite.connection_string(address, self.blob_port, self.queue_port, self.table_port)
