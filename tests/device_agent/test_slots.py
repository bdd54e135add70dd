"""Test the slots and the simulated bootloader, one call at a time."""

import hashlib
from collections.abc import Iterator

import pytest

from device_agent.errors import UpdateFailedError
from device_agent.offer import Image
from device_agent.ports import BootState
from device_agent.slots import BootRecord, SlotInstaller, read_record, read_slot
from simulator.simulated_device.bootloader import BrickedError, boot, manufacture
from tests.device_agent.volatile_disk import VolatileDisk

CONTENT = b"new firmware" * 100
NEW = Image(version="2", sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))


class DamagedDisk(VolatileDisk):
    """A disk that changes one byte of slot b when read."""

    def chunks(self, name: str) -> Iterator[bytes]:
        for chunk in super().chunks(name):
            yield bytes([chunk[0] ^ 1]) + chunk[1:] if name == "b.image" else chunk


def started(disk: VolatileDisk) -> SlotInstaller:
    manufacture(disk, "1")
    return SlotInstaller(disk, boot(disk), lambda: None)


def test_a_slot_that_reads_back_differently_cannot_start() -> None:
    disk = DamagedDisk()
    installer = started(disk)
    with pytest.raises(UpdateFailedError, match="reads back"):
        installer.install(NEW, iter([CONTENT]))
    assert read_slot(disk, "b") is None
    installer.switch()
    assert boot(disk) == "a"


def test_a_slot_has_three_starts_to_be_confirmed() -> None:
    disk = VolatileDisk()
    installer = started(disk)
    installer.install(NEW, iter([CONTENT]))
    assert installer.running().boot is BootState.SETTLED
    installer.switch()
    assert installer.running().boot is BootState.SWITCHED
    assert [boot(disk) for _ in range(5)] == ["b", "b", "b", "a", "a"]
    assert installer.running().boot is BootState.FELL_BACK


def test_installing_ends_an_earlier_trial() -> None:
    disk = VolatileDisk()
    installer = started(disk)
    installer.install(NEW, iter([CONTENT]))
    installer.switch()
    assert [boot(disk) for _ in range(4)][-1] == "a"
    installer.install(NEW, iter([CONTENT]))
    assert read_record(disk) == BootRecord(active="a")
    assert installer.running().boot is BootState.SETTLED


def test_the_only_proven_slot_is_not_written_to() -> None:
    disk = VolatileDisk()
    installer = started(disk)
    installer.install(NEW, iter([CONTENT]))
    installer.switch()
    on_trial = SlotInstaller(disk, boot(disk), lambda: None)
    with pytest.raises(UpdateFailedError, match="proven"):
        on_trial.install(NEW, iter([CONTENT]))
    assert read_slot(disk, "a") is not None


def test_a_damaged_confirmed_slot_falls_back_to_the_other_one() -> None:
    disk = VolatileDisk()
    installer = started(disk)
    installer.install(NEW, iter([CONTENT]))
    installer.switch()
    SlotInstaller(disk, boot(disk), lambda: None).confirm()
    assert boot(disk) == "b"
    disk.seen["b.image"][0] ^= 1
    assert boot(disk) == "a"
    assert read_record(disk) == BootRecord(active="a")
    disk.seen["a.image"][0] ^= 1
    with pytest.raises(BrickedError):
        boot(disk)
