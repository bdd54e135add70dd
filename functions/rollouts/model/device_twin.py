"""What the hub knows of a device, and what is remembered of it before an update."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTwin:
    """What the hub knows of one device, from a twin read or a query row.

    `reported` are the reported properties without `$` entries; `reported_at` says when the hub
    last stored each top-level one, by the hub's own clock (`$metadata`, `$lastUpdated`).
    """

    device_id: str
    connected: bool
    reported: Mapping[str, Any]
    reported_at: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the twin held just before the direct method was sent.

    The two times are the hub's own: the latest of `firmwareStatus` and the times of its stages,
    and that of `firmwareUpdate`. What is not newer is left from an earlier update. So is a
    `lastFirmwareUpdate` that is still `last_update`: some devices report all they know again
    when they reconnect. `recognises_repeats` tells whether the device has shown that it knows
    more than the tutorial's contract, and so ignores a repeated attempt; `busy_elsewhere` whether
    it told that another rollout's update was under way.
    """

    status_at: datetime | None = None
    update_at: datetime | None = None
    last_update: str | None = None
    recognises_repeats: bool = False
    busy_elsewhere: bool = False


NO_BASELINE = Baseline()
