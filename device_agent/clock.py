"""The system's clock, whose sleeps end when the device is stopped."""

import threading
import time
from datetime import UTC, datetime

from device_agent.errors import SwitchedOffError


class SystemClock:
    """The clock of one run of the device, from its start to its stop."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End every sleep, now and later; call from any thread."""
        self._stopped.set()

    def now(self) -> datetime:
        """Implement `Clock`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Implement `Clock`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Implement `Clock`."""
        if self._stopped.wait(max(0.0, seconds)):
            raise SwitchedOffError
