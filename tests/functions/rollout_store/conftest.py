"""Provide the stores on Azurite and in memory, for tests that both must pass."""

from itertools import batched, groupby
from operator import itemgetter

import pytest
from azure.data.tables import TableServiceClient

from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollout_store.table_storage.table import MAX_ROWS_PER_TRANSACTION
from simulator.rehearsal.memory_stores import MemoryStores


@pytest.fixture(params=["azurite", "memory"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        return MemoryStores()
    connection_string = request.getfixturevalue("storage")
    service = TableServiceClient.from_connection_string(connection_string)
    opened = open_table_stores(connection_string, None)
    table = service.get_table_client(keys.TABLE)
    found = sorted(
        table.list_entities(select=["PartitionKey", "RowKey"]), key=itemgetter("PartitionKey")
    )
    for _, rows in groupby(found, itemgetter("PartitionKey")):
        for part in batched(rows, MAX_ROWS_PER_TRANSACTION, strict=False):
            table.submit_transaction([("delete", row) for row in part])
    return opened
