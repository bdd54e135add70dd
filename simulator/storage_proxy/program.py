"""Run the proxy as a process of the local cloud, until SIGTERM or SIGINT."""

import asyncio
import signal
import sys
from collections import Counter

from aiohttp import web

from simulator.azurite import AzuriteOptions
from simulator.storage_proxy.faults import StorageFaultPlan, StorageFaults
from simulator.storage_proxy.options import StorageProxyOptions
from simulator.storage_proxy.proxy import StorageProxy

READY = "storage proxy ready"


def command(options: StorageProxyOptions, storage: AzuriteOptions) -> list[str]:
    """Return the command line that runs this module before a storage emulator."""
    ports = {
        "blob": (options.blob_port, storage.blob_port),
        "queue": (options.queue_port, storage.queue_port),
        "table": (options.table_port, storage.table_port),
    }
    plan = options.plan
    values = (plan.latency_seconds, plan.fault_share, plan.seed, storage.address)
    named = (f"{service}:{own}:{to}" for service, (own, to) in ports.items())
    return [sys.executable, "-m", __name__, *map(str, values), *named]


async def run(plan: StorageFaultPlan, address: str, services: list[str]) -> None:
    """Forward until a signal comes; `services` are such as `table:<own port>:<port>`."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    faults, counts = StorageFaults(plan), Counter[str]()
    runners = []
    for item in services:
        service, own, to = item.split(":")
        proxy = StorageProxy(service, f"http://{address}:{to}", plan, faults, counts)
        runner = web.AppRunner(proxy.application(), access_log=None)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, address, int(own)).start()
    print(READY, flush=True)
    await stop.wait()
    for runner in runners:
        await runner.cleanup()


def main(arguments: list[str]) -> None:
    latency, share, seed, address, *services = arguments
    plan = StorageFaultPlan(
        latency_seconds=float(latency), fault_share=float(share), seed=int(seed)
    )
    asyncio.run(run(plan, address, services))


if __name__ == "__main__":
    main(sys.argv[1:])
