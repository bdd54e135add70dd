"""The state of a device at the hub, and the part that is kept from before an update."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTwin:
    """The state of one device at the hub, from a twin read or a query row."""

    device_id: str
    connected: bool  # the connection state
    enabled: bool = True  # the identity's status; the hub calls no method of a disabled device
    reported: Mapping[str, Any]  # reported properties, without `$` entries
    # When the hub last stored each top-level property, by the hub's clock (`$lastUpdated`).
    reported_at: Mapping[str, datetime]
    # When the hub last heard of the device (`lastActivityTime`); it may be late. None: not known.
    active_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The values of the twin just before the direct method was sent.

    A value that is not newer belongs to an earlier update. Times are the hub's.
    """

    status_at: datetime | None = None  # latest time of `firmwareStatus` and of its stages
    update_at: datetime | None = None  # time of `firmwareUpdate`
    # `lastFirmwareUpdate`. Some devices report an old value again when they reconnect.
    last_update: str | None = None
    recognises_repeats: bool = False  # whether the device ignores a repeated attempt
    busy_elsewhere: bool = False  # whether the device was updating for another rollout


NO_BASELINE = Baseline()
