"""Keep the devices in quarantine in memory, so that batches need not read them one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.rollouts.model.quarantine import FailureRecord


@dataclass(slots=True)
class QuarantineCache:
    """The devices in quarantine as this process last read them."""

    records: Mapping[str, FailureRecord] = field(default_factory=dict)  # by device id
    read_at: datetime | None = None  # None: read them again
