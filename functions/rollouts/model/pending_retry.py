"""A retry that is not finished: which devices it queues again, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from functions.rollouts.model.device_set import DeviceSet


class RetryState(StrEnum):
    """The states whose devices a retry can queue again; the names are those of DeviceState."""

    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRetry:
    """The devices that a retry queues again, block by block in ascending order."""

    states: frozenset[RetryState]  # devices in other states are left alone
    devices: Mapping[int, DeviceSet] | None = None  # by block; None: all devices in these states
    next_block: int = 0  # the blocks before this number are done
