"""The protocols that a product implements, and the values that pass through them.

A method may raise OSError if its work fails; the agent reports that as the update's failure.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from device_agent.offer import Image


class Clock(Protocol):
    """The time, and sleeping."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return the seconds since some moment of this run of the device; it never decreases."""

    def sleep(self, seconds: float) -> None:
        """Wait. Raises SwitchedOffError at once if the device is stopped meanwhile."""


class Writer(Protocol):
    """An open file, written from an offset to its end."""

    def write(self, chunk: bytes) -> None:
        """Append `chunk`; a loss of power before `sync` may lose it."""

    def sync(self) -> None:
        """Make everything written so far survive a loss of power."""


class Storage(Protocol):
    """The agent's files, by name, on a disk that may lose power at any moment."""

    @property
    def session(self) -> str:
        """An id that changes with each loss of power, after which only synced data is certain."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if the file does not exist."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file atomically: a loss of power leaves the old or the new content."""

    def append(self, name: str, offset: int) -> AbstractContextManager[Writer]:
        """Open a file to write on from `offset`; create the file, or cut it off at `offset`.

        `offset` is at most the file's size.
        """

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a file in parts; yield nothing if the file does not exist."""

    def size(self, name: str) -> int:
        """Return the size of a file in bytes; 0 if the file does not exist."""

    def delete(self, name: str) -> None:
        """Delete a file if it exists; a loss of power does not bring the file back."""

    def free_bytes(self) -> int:
        """Return how many bytes can still be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageResponse:
    """The response to the request for a package, or for the rest of one."""

    offset: int
    """Where in the package `chunks` start: as requested, or earlier if the server resumes less."""
    total: int | None
    """The size of the whole package in bytes; None if the server does not state it."""
    etag: str | None
    """The strong entity tag; None if the server sent none."""
    chunks: Iterator[bytes]
    """The bytes as they were sent. Raises UnavailableError if the connection ends early."""
    has_length: bool = True
    """Whether `chunks` raises if the body is cut off; if False, it ends with its connection."""
    is_web_page: bool = False
    """Whether the server calls it HTML, as captive portals do."""


class Transport(Protocol):
    """Downloads packages."""

    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> AbstractContextManager[PackageResponse]:
        """Request the package from `offset` if `etag` still names it, else from 0.

        The request and the body together take at most `seconds`. Raises UpdateFailedError for a
        permanent failure, UnavailableError for a temporary one, RefusedError for one that a few
        retries decide.
        """


class BootState(StrEnum):
    """How the running slot was started."""

    SETTLED = "settled"  # no slot is on trial
    SWITCHED = "switched"  # the next start uses the other slot, on trial
    ON_TRIAL = "onTrial"  # the running slot is on trial; unless confirmed, the other one returns
    FELL_BACK = "fellBack"  # the other slot was tried and not confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFirmware:
    """The firmware that runs now."""

    slot: str
    """The name of the running slot."""
    version: str
    """The firmware's version."""
    boot: BootState
    """How the slot was started."""


class Installer(Protocol):
    """The A/B slots and the bootloader: RAUC, SWUpdate, or a product's own.

    Exactly one slot runs; the installer writes only to the other one.
    """

    def running(self) -> RunningFirmware:
        """Return what runs, and whether it is on trial."""

    def bytes_needed(self, size_bytes: int) -> int:
        """Return the free bytes that installing an image of this size takes."""

    def install(self, image: Image, package: Iterator[bytes]) -> None:
        """Write the other slot and read it back; end every earlier trial.

        Raises UpdateFailedError if the slot does not hold `image`.
        """

    def switch(self) -> None:
        """Make the next start try the other slot. Atomic."""

    def revert(self) -> None:
        """End the trial of the running slot; the next start uses the other one."""

    def confirm(self) -> None:
        """End the trial of the running slot and keep it. Atomic."""

    def restart(self) -> None:
        """Restart the device; need not return."""


class Health(Protocol):
    """The health check that new firmware must pass."""

    def find_problem(self) -> str | None:
        """Return what is wrong with the running firmware, in words; None if it is healthy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """Why a device cannot start an update now, but could later."""

    code: str
    """The value of `deferred` in the method's response."""
    message: str
    """The reason in words."""


class Readiness(Protocol):
    """Whether the device may start an update now: its battery, its work, its user."""

    def find_deferral(self) -> Deferral | None:
        """Return why the device defers an update; None if it may start now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product's implementations of the ports."""

    storage: Storage
    transport: Transport
    clock: Clock
    installer: Installer
    health: Health
    readiness: Readiness
