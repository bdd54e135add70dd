"""One device's part in a rollout, and what the hub knows of a device.

All records are frozen; a change makes a new one. Times are aware datetimes in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class DeviceState(StrEnum):
    """Where one device update stands, in the order in which it moves."""

    QUEUED = "queued"  # nothing was asked of the device in this attempt
    DISPATCHING = "dispatching"  # the direct method may have been sent; its answer is not known
    ACCEPTED = "accepted"  # the device said yes, and has reported no stage yet
    DOWNLOADING = "downloading"
    APPLYING = "applying"
    SOAKING = "soaking"  # runs the new firmware, and must stay healthy for a while
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"  # not asked any more, because the rollout was cancelled
    SKIPPED = "skipped"  # offline or not ready, and not to be waited for any longer

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def in_flight(self) -> bool:
        """The device is updating, or may be."""
        return self in IN_FLIGHT

    @property
    def rank(self) -> int:
        """Position on the way from queued to an end; it never falls within one attempt."""
        return _RANK[self]


ENDED = frozenset(
    {DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.CANCELLED, DeviceState.SKIPPED}
)
IN_FLIGHT = frozenset(
    {
        DeviceState.DISPATCHING,
        DeviceState.ACCEPTED,
        DeviceState.DOWNLOADING,
        DeviceState.APPLYING,
    }
)
_RANK = {state: min(number, 6) for number, state in enumerate(DeviceState)}

MOVES: Mapping[DeviceState, frozenset[DeviceState]] = {
    DeviceState.QUEUED: frozenset(
        {
            DeviceState.DISPATCHING,
            # An earlier attempt succeeded after all, and its stages are written down.
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.CANCELLED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.DISPATCHING: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.ACCEPTED,
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.ACCEPTED: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
        }
    ),
    DeviceState.DOWNLOADING: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
        }
    ),
    DeviceState.APPLYING: frozenset(
        {DeviceState.QUEUED, DeviceState.SOAKING, DeviceState.COMPLETED, DeviceState.FAILED}
    ),
    DeviceState.SOAKING: frozenset({DeviceState.COMPLETED, DeviceState.FAILED}),
    DeviceState.COMPLETED: frozenset(),
    DeviceState.FAILED: frozenset({DeviceState.QUEUED}),
    DeviceState.CANCELLED: frozenset(),
    DeviceState.SKIPPED: frozenset(),
}
"""Where a device update may go from each state. Going back to queued takes the next attempt."""


class ErrorCode(StrEnum):
    """Why a device update failed."""

    REJECTED = "rejected"  # the device refused the direct method
    UNREACHABLE = "unreachable"  # no answer ever came, or the hub will not pass the method on
    TIMED_OUT = "timedOut"  # accepted, connected, and not finished within the timeout
    REPORTED = "reported"  # the device itself reported a failure
    WENT_DARK = "wentDark"  # accepted or completed, and then not connected when it had to be
    REVERTED = "reverted"  # went back to its old firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is: a code for programs, a sentence with its numbers for people."""

    code: str
    message: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResponse:
    """The device's own answer to the direct method: its status and any JSON value."""

    status: int
    payload: Any = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a device update's history, never earlier than the line before it.

    `at` is the hub's time for what a device reported, this app's for the rest.
    """

    state: DeviceState
    attempt: int
    at: datetime
    message: str


class DeviceUpdate(NamedTuple):
    """One device's part in a rollout; built with keywords, changed with `_replace`.

    A named tuple, as copying one is what the rehearsal of a large fleet spends most of its time
    on, and a dataclass takes six times as long.

    `wave` is the number of its wave, from 0. `version` is the firmware it is to run where that is
    not the rollout's own (a rollback brings each device back to what it ran before). `tries`
    counts what the strategy's `retry.attempts` limits: calls whose answer was lost, and attempts
    that timed out, still kept the device busy, or were reported as failed. `delays` counts waits
    in a row, for the back-off; `waiting_since` is when they began, for the deadline. An `offline`
    one is asked again once it is seen connected: at once if it was `seen_gone` before, else after
    its delay, as it may listen to no methods. `not_before` is when the next thing may be done: a
    try, or giving up on whoever has the update in hand. `in_doubt` marks an attempt that had a
    call without an answer: the device may have started, so the attempt is kept until that is
    settled. `observe_at` is when its twin is worth a look. `dispatched_at` is when this attempt's
    method was first sent. `soak_until` is when a soaking device has been healthy for long enough,
    or is looked for again if it was not connected then.
    """

    device_id: str
    wave: int
    queued_at: datetime
    updated_at: datetime
    version: str | None = None
    state: DeviceState = DeviceState.QUEUED
    attempt: int = 1
    tries: int = 0
    delays: int = 0
    waiting_since: datetime | None = None
    offline: bool = False
    seen_gone: bool = False
    not_before: datetime | None = None
    in_doubt: bool = False
    observe_at: datetime | None = None
    baseline: Baseline = NO_BASELINE
    method: MethodResponse | None = None
    firmware_status: str | None = None
    progress_percent: int | None = None
    error: Reason | None = None
    previous_version: str | None = None
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    soak_until: datetime | None = None
    ended_at: datetime | None = None
    explanation: str | None = None  # None: nothing happened yet, and the rollout says why
    history: tuple[HistoryEntry, ...] = ()
