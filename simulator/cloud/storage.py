"""The storage account as a part: Azurite, until SIGTERM or SIGINT."""

import signal
import sys
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
    )
    return [sys.executable, "-m", __name__, *map(str, values)]


def main(arguments: list[str]) -> int:
    """Run Azurite; 0 when told to stop, 1 when it does not start or ends by itself."""
    address, blob, queue, table, location, log = arguments
    options = AzuriteOptions(
        address=address,
        blob_port=int(blob),
        queue_port=int(queue),
        table_port=int(table),
        location=Path(location),
        log=Path(log) if log else None,
    )
    try:
        process = azurite.start(options)
    except azurite.AzuriteError as error:
        print(f"error: {error}", flush=True)
        return 1
    # Held back until asked for; not earlier, for Azurite would inherit that.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    print(READY, flush=True)
    while process.poll() is None:
        if signal.sigtimedwait(signals, 0.5):
            azurite.stop(process)
            return 0
    print(f"error: Azurite ended with code {process.returncode}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
