"""Test the proxy before the storage emulator, with Microsoft's SDK on both sides."""

import json
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ServiceResponseError
from azure.data.tables import TableClient, TableServiceClient, UpdateMode
from azure.storage.queue import QueueClient

from simulator.azurite import AzuriteOptions
from simulator.storage_proxy import program
from simulator.storage_proxy.faults import StorageFault, StorageFaultPlan, StorageFaults
from simulator.storage_proxy.options import StorageProxyOptions
from tests.bench.processes import lines_until
from tests.ports import free_ports

TABLE = "ProxyTest"

type RunProxy = Callable[[StorageFaultPlan], AbstractContextManager[StorageProxyOptions]]


@pytest.fixture
def run_proxy(storage: str) -> RunProxy:
    """Run a proxy before the tests' storage emulator."""
    ports = [int(part.split(":")[2].split("/")[0]) for part in storage.split(";")[3:6]]
    emulator = AzuriteOptions(
        location=Path(),
        blob_port=ports[0],
        queue_port=ports[1],
        table_port=ports[2],
    )

    @contextmanager
    def run(plan: StorageFaultPlan) -> Iterator[StorageProxyOptions]:
        blob, queue, table = free_ports(3)
        options = StorageProxyOptions(blob_port=blob, queue_port=queue, table_port=table, plan=plan)
        command = program.command(options, emulator)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                lines_until(process, program.READY)
                yield options
            finally:
                process.terminate()

    return run


def open_table(options: StorageProxyOptions, **more: Any) -> TableClient:
    service = TableServiceClient.from_connection_string(
        options.connection_string("127.0.0.1"), **more
    )
    return service.create_table_if_not_exists(TABLE)


def read_counts(options: StorageProxyOptions) -> Counter[str]:
    url = f"http://127.0.0.1:{options.table_port}/_proxy/counts"
    with urllib.request.urlopen(url) as response:
        return Counter(json.loads(response.read()))


def row(number: int, partition: str = "rollout-1") -> dict[str, Any]:
    return {"PartitionKey": partition, "RowKey": f"row-{number:02}"}


def test_without_faults_it_only_adds_its_latency(run_proxy: RunProxy) -> None:
    with run_proxy(StorageFaultPlan(latency_seconds=0.1)) as options:
        table = open_table(options)
        table.upsert_entity(row(1) | {"text": "ünïcode"})
        begun = time.monotonic()
        assert table.get_entity("rollout-1", "row-01")["text"] == "ünïcode"
        assert time.monotonic() - begun >= 0.1
        queue = QueueClient.from_connection_string(options.connection_string("127.0.0.1"), "proxy")
        queue.create_queue()
        queue.send_message("hello")
        assert [message.content for message in queue.receive_messages()] == ["hello"]


def test_a_lost_race_of_a_rollout_is_counted_in_a_transaction_too(run_proxy: RunProxy) -> None:
    with run_proxy(StorageFaultPlan()) as options:
        table = open_table(options)
        record = {"PartitionKey": "rollout-2", "RowKey": "rollout"}
        first = table.upsert_entity(record)["etag"]
        guard = {"etag": first, "match_condition": MatchConditions.IfNotModified}
        table.update_entity(record | {"n": 1}, mode=UpdateMode.REPLACE, **guard)
        with pytest.raises(ResourceModifiedError):
            table.update_entity(record | {"n": 2}, mode=UpdateMode.REPLACE, **guard)
        operations: Any = [
            ("update", record, {"mode": UpdateMode.REPLACE, **guard}),
            ("upsert", row(1, "rollout-2")),
        ]
        with pytest.raises(HttpResponseError):
            table.submit_transaction(operations)
        counts = read_counts(options)
    assert (counts["commits"], counts["lost races"]) == (2, 2)


def test_every_fault_reaches_the_client_as_storage_sends_it(run_proxy: RunProxy) -> None:
    with run_proxy(StorageFaultPlan()) as plain:
        open_table(plain)
        with run_proxy(StorageFaultPlan(fault_share=1, seed=3)) as options:
            table = TableServiceClient.from_connection_string(
                options.connection_string("127.0.0.1"), retry_total=0
            ).get_table_client(TABLE)
            seen = Counter[str]()
            for number in range(40):
                try:
                    table.upsert_entity(row(number, "faults"))
                except HttpResponseError as error:
                    found: Any = error
                    seen[f"{error.status_code} {found.error_code.value}"] += 1
                except ServiceResponseError:
                    seen["dropped"] += 1
            counts = read_counts(options)
        stored = list(open_table(plain).query_entities("PartitionKey eq 'faults'"))
    assert seen.total() == 40
    assert seen["503 ServerBusy"] == counts[f"fault {StorageFault.BUSY}"] > 0
    late = counts[f"fault {StorageFault.TIMED_OUT_LATE}"]
    assert seen["500 OperationTimedOut"] == counts[f"fault {StorageFault.TIMED_OUT}"] + late > late
    assert seen["dropped"] == counts[f"fault {StorageFault.DROPPED}"] > 0
    assert len(stored) == late + seen["dropped"]


def test_a_client_that_follows_continuations_reads_all_rows_of_early_pages(
    run_proxy: RunProxy,
) -> None:
    with run_proxy(StorageFaultPlan(fault_share=0.5, seed=2)) as options:
        patience = dict.fromkeys(("retry_total", "retry_read", "retry_status"), 30)
        table = open_table(options, **patience, retry_backoff_factor=0.001)
        for number in range(12):
            table.upsert_entity(row(number, "pages"), mode=UpdateMode.REPLACE)
        for select in (None, ["RowKey"]):
            found = table.query_entities("PartitionKey eq 'pages'", select=select)
            assert [item["RowKey"] for item in found] == [f"row-{n:02}" for n in range(12)]
        assert read_counts(options)[f"fault {StorageFault.EARLY_PAGE}"] > 0


def test_the_same_seed_chooses_the_same_faults() -> None:
    def choose(seed: int) -> list[StorageFault | None]:
        faults = StorageFaults(StorageFaultPlan(fault_share=0.3, seed=seed))
        return [faults.choose(is_query=number % 2 == 0) for number in range(200)]

    assert choose(1) == choose(1) != choose(2)
    assert 30 < sum(fault is not None for fault in choose(1)) < 90
