"""The time of this machine, for a device that may be switched off while it waits."""

import threading
import time
from datetime import UTC, datetime

from device_agent.errors import SwitchedOffError


class SystemClock:
    """One life's clock."""

    def __init__(self) -> None:
        """Runs until `stop`."""
        self._off = threading.Event()

    def stop(self) -> None:
        """End every wait, from any thread."""
        self._off.set()

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        if self._off.wait(max(0.0, seconds)):
            raise SwitchedOffError
