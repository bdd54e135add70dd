"""Run Azurite as a process of the local cloud, until SIGTERM or SIGINT."""

import signal
import sys
import threading
from pathlib import Path

from simulator import azurite
from simulator.azurite import AzuriteOptions

READY = "storage ready"


def command(options: AzuriteOptions) -> list[str]:
    """Return the command line that runs this module with `options`."""
    values = (
        options.address,
        options.blob_port,
        options.queue_port,
        options.table_port,
        str(options.location),
        options.log or "",
        "access" if options.access_log else "",
    )
    return [sys.executable, "-m", __name__, *map(str, values)]


def main(arguments: list[str]) -> int:
    """Run Azurite; return 0 if a signal stops it, 1 if it does not start or ends by itself."""
    options = _read_options(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        process = azurite.start(options)
    except azurite.AzuriteError as error:
        print(f"error: {error}", flush=True)
        return 1
    print(READY, flush=True)
    while process.poll() is None:
        if stop.wait(0.5):
            azurite.stop(process)
            return 0
    print(f"error: Azurite ended with code {process.returncode}", flush=True)
    return 1


def _read_options(arguments: list[str]) -> AzuriteOptions:
    address, blob, queue, table, location, log, access = arguments
    return AzuriteOptions(
        address=address,
        blob_port=int(blob),
        queue_port=int(queue),
        table_port=int(table),
        location=Path(location),
        log=Path(log) if log else None,
        access_log=bool(access),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
