"""The storage account as a part: Azurite, until SIGTERM or SIGINT."""

import signal
import sys
import threading
from pathlib import Path

from simulator import azurite
from simulator.azurite import AzuriteOptions

READY = "storage ready"


def command(options: AzuriteOptions) -> list[str]:
    """The command line that runs this module with `options`."""
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
    """Run Azurite; 0 when told to stop, 1 when it does not start or ends by itself."""
    address, blob, queue, table, location, log, access = arguments
    options = AzuriteOptions(
        address=address,
        blob_port=int(blob),
        queue_port=int(queue),
        table_port=int(table),
        location=Path(location),
        log=Path(log) if log else None,
        access_log=bool(access),
    )
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
