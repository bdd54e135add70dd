"""Implement the agent's ports with simulated faults, each of which is logged."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from device_agent import journal
from device_agent.disk import FolderStorage
from device_agent.errors import UnavailableError
from device_agent.ports import (
    Clock,
    Deferral,
    PackageResponse,
    Transport,
    Writer,
)
from simulator.simulated_device.faults import Faults

logger = logging.getLogger(__name__)

# For the first firmware, the journal and the boot record.
_FACTORY_BYTES = 64 << 10
# A device with less charge defers updates.
_MIN_BATTERY_PERCENT = 20
_CRASHED = "crashed"
_PACKET_BYTES = 64 << 10


class SimulatedCrashError(BaseException):
    """The device crashes at this moment and restarts."""


class FaultyTransport:
    """A network that is slow, loses connections, or changes bytes."""

    def __init__(self, inner: Transport, faults: Faults, clock: Clock) -> None:
        """Wrap `inner`, the real transport."""
        self._inner, self._faults, self._clock = inner, faults, clock
        self._cuts_left = faults.cuts

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        """Implement `Transport`."""
        with self._inner.get(url, offset, etag, seconds) as found:
            yield replace(found, chunks=self._carry(found.chunks, found.offset))

    def _carry(self, chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
        rate = self._faults.bytes_per_second
        for packet in _packets(chunks, min(_PACKET_BYTES, max(1, (rate or _PACKET_BYTES) // 10))):
            if rate:
                self._clock.sleep(len(packet) / rate)
            yield _corrupt(packet) if self._faults.corrupt and offset == 0 else packet
            offset += len(packet)
            if self._cuts_left:
                self._cuts_left -= 1
                logger.info("simulated fault: the connection is lost after %d bytes", offset)
                raise UnavailableError("the connection was lost")


def _packets(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield from (chunk[start : start + size] for start in range(0, len(chunk), size))


def _corrupt(packet: bytes) -> bytes:
    return bytes([packet[0] ^ 1]) + packet[1:]


class FaultyStorage(FolderStorage):
    """A small disk, or a device that crashes while it writes its journal."""

    def __init__(self, path: Path, faults: Faults) -> None:
        """Create the folder."""
        super().__init__(path)
        self._faults = faults

    def replace(self, name: str, content: bytes) -> None:
        """Implement `Storage`."""
        super().replace(name, content)
        phase = self._faults.crash_at
        if phase is None or name != journal.FILE or self.read(_CRASHED):
            return
        if (json.loads(content)["job"] or {}).get("phase") == phase:
            super().replace(_CRASHED, b"once")
            logger.info("simulated fault: the device crashes at the start of %s", phase)
            raise SimulatedCrashError

    @contextmanager
    def append(self, name: str, offset: int) -> Iterator[Writer]:
        """Implement `Storage`."""
        with super().append(name, offset) as file:
            yield file if self._faults.disk_bytes is None else _FullDisk(self, file)

    def free_bytes(self) -> int:
        """Implement `Storage`."""
        free = super().free_bytes()
        return free if self._faults.disk_bytes is None else min(free, self.free_space())

    def free_space(self) -> int:
        """Return the free bytes of the small disk; the first firmware always fits."""
        used = sum(entry.stat().st_size for entry in os.scandir(self.path))
        return max(0, (self._faults.disk_bytes or 0) + _FACTORY_BYTES - used)


class _FullDisk:
    def __init__(self, folder: FaultyStorage, file: Writer) -> None:
        self._folder, self._file = folder, file

    def write(self, chunk: bytes) -> None:
        if len(chunk) > self._folder.free_space():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.write(chunk)

    def sync(self) -> None:
        self._file.sync()


class SimulatedHealth:
    """The health of new firmware: it passes its check unless the fault `unhealthy` is set."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def find_problem(self) -> str | None:
        """Implement `Health`."""
        return "simulated fault: its sensor does not respond" if self._faults.unhealthy else None


class SimulatedReadiness:
    """The readiness of a device with a battery and other work."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        """Start the device's other work now."""
        self._faults, self._clock = faults, clock
        self._busy_until = clock.monotonic() + faults.busy_seconds

    def find_deferral(self) -> Deferral | None:
        """Implement `Readiness`."""
        battery = self._faults.battery_percent
        if battery < _MIN_BATTERY_PERCENT:
            message = f"the battery is at {battery} %, but an update needs {_MIN_BATTERY_PERCENT} %"
            return Deferral(code="lowBattery", message=message)
        if self._clock.monotonic() < self._busy_until:
            return Deferral(
                code="busy", message="the device does work that must not be interrupted"
            )
        return None
