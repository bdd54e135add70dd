"""A local cloud whose storage is as slow as a real account, for benchmarks."""

import json
import urllib.request
from collections import Counter

from simulator.cloud.options import CloudOptions
from simulator.storage_proxy.faults import StorageFaultPlan
from simulator.storage_proxy.options import StorageProxyOptions
from tests.ports import free_ports

# A storage account of the same region responds to a small request in 5 to 20 ms.
LATENCY_SECONDS = 0.02


def slow_storage(
    address: str, seconds: float = LATENCY_SECONDS, fault_share: float = 0.0
) -> StorageProxyOptions:
    """Return the options of a proxy that adds `seconds` to each request."""
    blob, queue, table = free_ports(3, address)
    plan = StorageFaultPlan(latency_seconds=seconds, fault_share=fault_share)
    return StorageProxyOptions(blob_port=blob, queue_port=queue, table_port=table, plan=plan)


def read_counts(options: CloudOptions) -> Counter[str]:
    """Return what the proxy has counted: requests, commits, lost races, faults."""
    proxy = options.storage_proxy
    if proxy is None:
        return Counter()
    url = f"http://{options.address}:{proxy.table_port}/_proxy/counts"
    with urllib.request.urlopen(url) as response:
        return Counter(json.loads(response.read()))


def count_transactions(options: CloudOptions) -> int:
    """Count the requests to the storage account, tables and queues.

    The host's listeners poll their queues even without a rollout. A poll counts only if it
    returned a message, which is then deleted.
    """
    lines = (options.logs / "azurite.log").read_text(errors="replace").splitlines()
    requests = [line for line in lines if ' HTTP/1.1" ' in line]
    polls = sum('"GET ' in line and "/messages?" in line for line in requests)
    taken = sum('"DELETE ' in line and "/messages/" in line for line in requests)
    return len(requests) - polls + taken
