"""A pretended bootloader and its factory: what U-Boot or GRUB does with the slots on a product.

It knows the boot record and the slots, and nothing of the agent.
"""

import hashlib
from dataclasses import replace

from device_agent.offer import Image
from device_agent.ports import Storage
from device_agent.slots import (
    OTHER,
    BootRecord,
    is_intact,
    read_record,
    write_record,
    write_slot,
)


class BrickedError(Exception):
    """No slot can be started: what must never happen."""


def manufacture(storage: Storage, version: str) -> None:
    """Give a new device its first firmware, unless it has one. May be repeated after a crash."""
    if read_record(storage) is not None:
        return
    content = f"factory firmware {version}".encode()
    digest = hashlib.sha256(content).hexdigest()
    image = Image(version=version, sha256=digest, size_bytes=len(content))
    write_slot(storage, "a", image, iter([content]))
    write_record(storage, BootRecord(active="a"))


def boot(storage: Storage) -> str:
    """Start the device: gives the slot that runs from now on. Raises BrickedError.

    A start of a slot on trial is counted before it is made, so one that never gets anywhere is
    given up by itself. A slot that is not whole is not started.
    """
    record = read_record(storage)
    if record is None:
        raise BrickedError("the device was never given a first firmware")
    while record.next_slot != record.active:
        record = replace(record, starts_left=record.starts_left - 1)
        write_record(storage, record)
        tried = record.trial
        if tried is not None and is_intact(storage, tried):
            return tried
        record = replace(record, starts_left=0)
        write_record(storage, record)
    for slot in (record.active, OTHER[record.active]):
        if is_intact(storage, slot):
            if slot != record.active:
                write_record(storage, BootRecord(active=slot))
            return slot
    raise BrickedError("neither slot can be started")
