"""Provide the stores on Azurite and in memory, for tests that both must pass."""

import pytest
from azure.data.tables import TableServiceClient

from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.stores import open_table_stores
from simulator.rehearsal.memory_stores import MemoryStores


@pytest.fixture(params=["azurite", "memory"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        return MemoryStores()
    connection_string = request.getfixturevalue("storage")
    service = TableServiceClient.from_connection_string(connection_string)
    opened = open_table_stores(connection_string, None)
    table = service.get_table_client(keys.TABLE)
    for entity in list(table.list_entities(select=["PartitionKey", "RowKey"])):
        table.delete_entity(entity)
    return opened
