"""The store on Azurite and the one in memory, for tests of what both must do."""

import pytest
from azure.data.tables import TableServiceClient

from functions.rollout_store import keys
from functions.rollout_store.port import RolloutStore
from functions.rollout_store.table_storage import open_table_store
from simulator.rehearsal.memory_store import MemoryStore


@pytest.fixture(params=["azurite", "memory"])
def store(request: pytest.FixtureRequest) -> RolloutStore:
    if request.param == "memory":
        return MemoryStore()
    connection_string = request.getfixturevalue("storage")
    service = TableServiceClient.from_connection_string(connection_string)
    opened = open_table_store(connection_string, None)
    table = service.get_table_client(keys.TABLE)
    for entity in list(table.list_entities(select=["PartitionKey", "RowKey"])):
        table.delete_entity(entity)
    return opened
