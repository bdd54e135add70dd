"""Simulate a bootloader and a factory: what U-Boot or GRUB does with a product's slots.

Uses the boot record and the slots only, not the agent.
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
    """No slot can be started, which must never happen."""


def manufacture(storage: Storage, version: str) -> None:
    """Write the first firmware of a new device; do nothing if it has one."""
    if read_record(storage) is not None:
        return
    content = f"factory firmware {version}".encode()
    digest = hashlib.sha256(content).hexdigest()
    image = Image(version=version, sha256=digest, size_bytes=len(content))
    write_slot(storage, "a", image, iter([content]))
    write_record(storage, BootRecord(active="a"))


def boot(storage: Storage) -> str:
    """Start the device and return the slot that runs. Raises BrickedError.

    A start of a slot on trial is counted before it is made, so that a slot that never starts fully
    runs out of starts. A damaged slot is not started.
    """
    record = read_record(storage)
    if record is None:
        raise BrickedError("the device has no first firmware")
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
