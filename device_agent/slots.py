"""Keep two firmware slots and the bootloader's record in the agent's storage.

    a.image  a.json    slot a: the image and its description, without which it cannot start
    b.image  b.json
    boot.json          which slot is active, and whether the other one is on trial

The running slot is never written to. A slot gets its description only after its image was read
back, and the record is replaced atomically, so that a start finds either the old state or the new
one. As with U-Boot's `bootcount`, a slot on trial has a few starts to be confirmed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from device_agent.errors import Failure, UpdateFailedError
from device_agent.offer import Image
from device_agent.ports import BootState, RunningFirmware, Storage

BOOT_RECORD = "boot.json"
# Starts of a slot on trial: more than one, because the power may be lost during a start.
TRIAL_STARTS = 3
OTHER = {"a": "b", "b": "a"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecord:
    """What starts next: the slot on trial while it has starts left, else the active slot."""

    active: str = "a"
    """The slot to start if no trial is under way."""
    trial: str | None = None
    """The slot on trial; None if there is no trial."""
    starts_left: int = 0
    """The remaining starts of the slot on trial."""

    @property
    def next_slot(self) -> str:
        """The slot that the next start uses first."""
        return self.trial if self.trial and self.starts_left else self.active


def read_record(storage: Storage) -> BootRecord | None:
    """Read the boot record; return None on a device without one."""
    content = storage.read(BOOT_RECORD)
    return BootRecord(**json.loads(content)) if content else None


def write_record(storage: Storage, record: BootRecord) -> None:
    """Write the boot record atomically."""
    storage.replace(BOOT_RECORD, json.dumps(asdict(record)).encode())


def read_slot(storage: Storage, slot: str) -> Image | None:
    """Return the image in a slot; None if the slot cannot start."""
    content = storage.read(f"{slot}.json")
    return Image(**json.loads(content)) if content else None


def is_intact(storage: Storage, slot: str) -> bool:
    """Return whether the slot's image matches its description, byte for byte."""
    image = read_slot(storage, slot)
    return image is not None and _hash(storage, slot) == image.sha256


def _hash(storage: Storage, slot: str) -> str:
    digest = hashlib.sha256()
    for chunk in storage.chunks(f"{slot}.image"):
        digest.update(chunk)
    return digest.hexdigest()


def write_slot(storage: Storage, slot: str, image: Image, package: Iterator[bytes]) -> None:
    """Write a slot and read it back. Raises UpdateFailedError; the slot then cannot start."""
    storage.delete(f"{slot}.json")
    storage.delete(f"{slot}.image")  # before writing, for its space on the disk
    with storage.append(f"{slot}.image", 0) as file:
        for chunk in package:
            file.write(chunk)
        file.sync()
    if _hash(storage, slot) != image.sha256:
        raise UpdateFailedError(
            Failure.INSTALL_FAILED, "the slot reads back with another SHA-256 than was written"
        )
    storage.replace(f"{slot}.json", json.dumps(asdict(image)).encode())


class SlotInstaller:
    """The installer of a device whose slots are files."""

    def __init__(self, storage: Storage, running_slot: str, restart: Callable[[], None]) -> None:
        """Set `running_slot` to the slot that the bootloader has started."""
        self._storage = storage
        self._running_slot = running_slot
        self.restart = restart
        """Implement `Installer`."""

    def running(self) -> RunningFirmware:
        """Implement `Installer`."""
        image = read_slot(self._storage, self._running_slot)
        return RunningFirmware(
            slot=self._running_slot,
            version=image.version if image else "unknown",
            boot=self._boot(),
        )

    def bytes_needed(self, size_bytes: int) -> int:
        """Implement `Installer`; the content of the other slot is replaced, so its space counts."""
        return max(0, size_bytes - self._storage.size(f"{self._other}.image"))

    def install(self, image: Image, package: Iterator[bytes]) -> None:
        """Implement `Installer`."""
        if self._boot() is BootState.ON_TRIAL:
            raise UpdateFailedError(
                Failure.INSTALL_FAILED,
                "the running slot is on trial, so the other slot is the only proven one",
            )
        write_record(self._storage, BootRecord(active=self._running_slot))
        write_slot(self._storage, self._other, image, package)

    def switch(self) -> None:
        """Implement `Installer`."""
        record = BootRecord(active=self._running_slot, trial=self._other, starts_left=TRIAL_STARTS)
        write_record(self._storage, record)

    def revert(self) -> None:
        """Implement `Installer`."""
        write_record(self._storage, BootRecord(active=self._other, trial=self._running_slot))

    def confirm(self) -> None:
        """Implement `Installer`."""
        write_record(self._storage, BootRecord(active=self._running_slot))

    @property
    def _other(self) -> str:
        return OTHER[self._running_slot]

    def _boot(self) -> BootState:
        record = read_record(self._storage) or BootRecord()
        if record.trial is None:
            return BootState.SETTLED
        if record.trial == self._running_slot:
            return BootState.ON_TRIAL
        return BootState.SWITCHED if record.starts_left else BootState.FELL_BACK
