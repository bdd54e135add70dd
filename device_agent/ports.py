"""What the agent needs of a product: narrow doors, each with a simple implementation beside it.

A door may raise OSError where its work fails; the agent reports that as the update's failure.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from device_agent.offer import Image


class Clock(Protocol):
    """Time, and waiting."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait. Raises SwitchedOffError, at once when the device is stopped meanwhile."""


class Writer(Protocol):
    """A file that is being written, from an offset to its end."""

    def write(self, chunk: bytes) -> None:
        """Append; it may be lost with the power until `sync`."""

    def sync(self) -> None:
        """What was written outlives the loss of power from now on."""


class Storage(Protocol):
    """The agent's files on a disk that may lose power at any moment. Names are its own."""

    @property
    def session(self) -> str:
        """Another one after each loss of power: then only what was synced is certain."""

    def read(self, name: str) -> bytes | None:
        """A small file's content; None without such a file."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file as a whole: after the loss of power it is the old or the new one."""

    def append(self, name: str, offset: int) -> AbstractContextManager[Writer]:
        """Cut the file at `offset`, of its size at most, and write on from there.

        Creates the file.
        """

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file from its beginning, in parts; nothing for a file that is not there."""

    def size(self, name: str) -> int:
        """In bytes; 0 for a file that is not there."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there; it does not come back."""

    def free_bytes(self) -> int:
        """What can still be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageResponse:
    """A package, or the rest of one."""

    offset: int
    """Where in the package `chunks` begin: as asked for, or 0 from a server that cannot resume."""
    total: int | None
    """The whole package's size in bytes, as far as the server says."""
    etag: str | None
    """A strong entity tag."""
    chunks: Iterator[bytes]
    """Never decoded. Raises UnavailableError when the server stops in the middle."""


class Transport(Protocol):
    """Where packages come from."""

    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> AbstractContextManager[PackageResponse]:
        """The package from `offset` on, if it still is the one that `etag` names, else from 0.

        Takes `seconds` in all at most. Raises UpdateFailedError for what will not
        change by itself, UnavailableError otherwise.
        """


class BootState(StrEnum):
    """How the running slot came to run."""

    SETTLED = "settled"  # nothing is tried
    SWITCHED = "switched"  # the next start tries the other slot
    ON_TRIAL = "onTrial"  # the running slot is tried; unless confirmed, the other one comes back
    FELL_BACK = "fellBack"  # the other slot was tried and not confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFirmware:
    """What the device runs now."""

    slot: str
    version: str
    boot: BootState


class Installer(Protocol):
    """The A/B slots and the bootloader: RAUC, SWUpdate, or a product's own flasher.

    Exactly one slot runs; everything is written to the other one.
    """

    def running(self) -> RunningFirmware:
        """What runs, and whether it is on trial."""

    def bytes_needed(self, size_bytes: int) -> int:
        """Free bytes that installing an image of this size takes."""

    def install(self, image: Image, package: Iterator[bytes]) -> None:
        """Write the other slot, and read it back. Ends every earlier trial.

        Raises UpdateFailedError if what was written is not `image`.
        """

    def switch(self) -> None:
        """From now on, the next start tries the other slot. Atomic."""

    def revert(self) -> None:
        """End the trial of the running slot: the next start is the other one's."""

    def confirm(self) -> None:
        """End the trial of the running slot: it stays. Atomic."""

    def restart(self) -> None:
        """Start the device anew; need not return."""


class Health(Protocol):
    """What new firmware must show before it stays."""

    def find_problem(self) -> str | None:
        """What is wrong with the running firmware, in words; None if it is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """Why a device cannot begin an update now, though it could later."""

    code: str
    message: str


class Readiness(Protocol):
    """Whether the device may begin an update now: its battery, its work, its user."""

    def find_deferral(self) -> Deferral | None:
        """None if it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a device is made of."""

    storage: Storage
    transport: Transport
    clock: Clock
    installer: Installer
    health: Health
    readiness: Readiness
