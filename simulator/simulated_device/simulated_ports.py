"""The agent's doors with faults behind them. Each does as it is told, and says so in the log."""

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
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

_FACTORY_ROOM_BYTES = 64 << 10
# A battery below this is too low to begin an update with.
_MIN_BATTERY_PERCENT = 20
_CRASHED = "crashed"
_PACKET_BYTES = 64 << 10


class SimulatedCrashError(BaseException):
    """The device is gone at this very moment, and starts anew."""


class FaultyTransport:
    """A network that is slow, is cut, or spoils what it carries."""

    def __init__(self, inner: Transport, faults: Faults, clock: Clock) -> None:
        """`inner` is the real one."""
        self._inner, self._faults, self._clock = inner, faults, clock
        self._cuts_left = faults.cuts

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        """See Transport."""
        with self._inner.get(url, offset, etag, seconds) as found:
            yield PackageResponse(
                offset=found.offset,
                total=found.total,
                etag=found.etag,
                chunks=self._carried(found.chunks, found.offset),
            )

    def _carried(self, chunks: Iterator[bytes], offset: int) -> Iterator[bytes]:
        rate = self._faults.bytes_per_second
        for packet in _packets(chunks, min(_PACKET_BYTES, max(1, (rate or _PACKET_BYTES) // 10))):
            if rate:
                self._clock.sleep(len(packet) / rate)
            yield _spoiled(packet) if self._faults.corrupt and offset == 0 else packet
            offset += len(packet)
            if self._cuts_left:
                self._cuts_left -= 1
                logger.info("simulated fault: the connection is cut after %d bytes", offset)
                raise UnavailableError("the connection was lost")


def _packets(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield from (chunk[start : start + size] for start in range(0, len(chunk), size))


def _spoiled(packet: bytes) -> bytes:
    return bytes([packet[0] ^ 1]) + packet[1:]


class FaultyStorage(FolderStorage):
    """A disk that is full soon, or a device that dies while it writes its journal."""

    def __init__(self, path: Path, faults: Faults) -> None:
        """Creates the folder."""
        super().__init__(path)
        self._faults = faults

    def replace(self, name: str, content: bytes) -> None:
        """See Storage."""
        super().replace(name, content)
        phase = self._faults.crash_at
        if phase is None or name != journal.FILE or self.read(_CRASHED):
            return
        if (json.loads(content)["job"] or {}).get("phase") == phase:
            super().replace(_CRASHED, b"once")
            logger.info("simulated fault: the device dies while it comes to %s", phase)
            raise SimulatedCrashError

    @contextmanager
    def append(self, name: str, offset: int) -> Iterator[Writer]:
        """See Storage."""
        with super().append(name, offset) as file:
            yield file if self._faults.disk_bytes is None else _FullDisk(self, file)

    def free_bytes(self) -> int:
        """See Storage."""
        free = super().free_bytes()
        return free if self._faults.disk_bytes is None else min(free, self.room())

    def room(self) -> int:
        """What the small disk still takes; the first firmware always had its place."""
        used = sum(entry.stat().st_size for entry in os.scandir(self.path))
        return max(0, (self._faults.disk_bytes or 0) + _FACTORY_ROOM_BYTES - used)


class _FullDisk:
    def __init__(self, folder: FaultyStorage, file: Writer) -> None:
        self._folder, self._file = folder, file

    def write(self, chunk: bytes) -> None:
        if len(chunk) > self._folder.room():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.write(chunk)

    def sync(self) -> None:
        self._file.sync()


class SimulatedHealth:
    """New firmware is well, unless it is to be otherwise; that of the factory is well always."""

    def __init__(self, faults: Faults) -> None:
        """Asked only while new firmware is on trial."""
        self._faults = faults

    def find_problem(self) -> str | None:
        """See Health."""
        return "simulated fault: its sensor does not answer" if self._faults.unhealthy else None


class SimulatedReadiness:
    """A battery, and work that must not be disturbed."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        """Work begins with the device's life."""
        self._faults, self._clock = faults, clock
        self._busy_until = clock.monotonic() + faults.busy_seconds

    def find_deferral(self) -> Deferral | None:
        """See Readiness."""
        battery = self._faults.battery_percent
        if battery < _MIN_BATTERY_PERCENT:
            message = f"the battery is at {battery} %, {_MIN_BATTERY_PERCENT} % are needed"
            return Deferral(code="lowBattery", message=message)
        if self._clock.monotonic() < self._busy_until:
            return Deferral(code="busy", message="the device is at work that must not be disturbed")
        return None
