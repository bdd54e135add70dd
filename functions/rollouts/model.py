"""The records of a rollout: what was asked, what is known of each device, what the devices say.

All records are frozen; a change makes a new one. Times are aware datetimes in UTC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class RolloutStatus(StrEnum):
    """Where a rollout stands; the last three are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self is not RolloutStatus.RUNNING


class DeviceState(StrEnum):
    """Where one device update stands, in the order in which it moves."""

    QUEUED = "queued"  # nothing was asked of the device in this attempt
    DISPATCHING = "dispatching"  # the direct method may have been sent; its answer is not known
    ACCEPTED = "accepted"  # the device said yes, and has reported no stage yet
    DOWNLOADING = "downloading"
    APPLYING = "applying"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"  # never asked, because the strategy says so

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def rank(self) -> int:
        """Position on the way from queued to an end; it never falls within one attempt."""
        return _RANK[self]


ENDED = frozenset({DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.SKIPPED})
_RANK = {state: min(number, 5) for number, state in enumerate(DeviceState)}


class ErrorCode(StrEnum):
    """Why a device update failed."""

    REJECTED = "rejected"  # the device refused the direct method
    UNREACHABLE = "unreachable"  # no answer ever came, or the hub will not pass the method on
    TIMED_OUT = "timedOut"  # accepted, and not finished within the strategy's timeout
    REPORTED = "reported"  # the device itself reported a failure


class RetryOn(StrEnum):
    """Which failures are tried again."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timedOut"
    REPORTED = "reported"


class OfflinePolicy(StrEnum):
    """What happens to a device that is not connected when its turn comes."""

    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    version: str
    package_uri: str
    sha256: str | None = None  # 64 lower-case hex digits
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`attempts` counts all tries together; the delay doubles from initial to max."""

    attempts: int = 3
    on: frozenset[RetryOn] = frozenset({RetryOn.UNREACHABLE, RetryOn.TIMED_OUT})
    initial_delay: timedelta = timedelta(seconds=30)
    max_delay: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """`deadline` runs from the moment the device update was queued."""

    policy: OfflinePolicy = OfflinePolicy.WAIT
    deadline: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`timeout` runs from the direct method's acceptance to the end of the update."""

    timeout: timedelta = timedelta(hours=1)
    retry: Retry = Retry()
    offline: Offline = Offline()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is: a code for programs, a sentence with its numbers for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of a rollout's devices are where; the parts add up to `total`."""

    total: int = 0
    queued: int = 0
    updating: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled + self.skipped


def count(states: Iterable[DeviceState]) -> Counts:
    """Count device updates by state; whatever is neither queued nor ended is `updating`."""
    tally: dict[str, int] = {}
    total = 0
    for state in states:
        total += 1
        name = state.value if state.ended or state is DeviceState.QUEUED else "updating"
        tally[name] = tally.get(name, 0) + 1
    return Counts(total=total, **tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """`final_counts` is set when the rollout has ended; before that the device updates tell."""

    id: str
    status: RolloutStatus
    firmware: Firmware
    device_ids: tuple[str, ...]
    strategy: Strategy
    labels: Mapping[str, str]
    created_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    status_reason: Reason | None = None
    final_counts: Counts | None = None


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
    more than the tutorial's contract, and so ignores a repeated attempt.
    """

    status_at: datetime | None = None
    update_at: datetime | None = None
    last_update: str | None = None
    recognises_repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAnswer:
    """The device's own answer to the direct method: its status and any JSON value."""

    status: int
    payload: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a device update's history, never earlier than the line before it.

    `at` is the hub's time for what a device reported, this app's for the rest.
    """

    state: DeviceState
    attempt: int
    at: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpdate:
    """One device's part in a rollout.

    `dispatched_at` is when this attempt's method was first sent, `claimed_at` when it was last.
    `claims` counts how often it was about to be sent, so that a batch can tell that it is
    outdated. `tries` counts what the strategy's `retry.attempts` limits: calls whose answer was
    lost and attempts that timed out. `delays` counts waits in a row, for the back-off.
    `not_before` is when the next thing may be done: a try, or giving up on whoever has the
    update in hand. `in_doubt` marks an attempt that had a call without an answer: the device
    may have started, so the attempt is kept until that is settled.
    """

    device_id: str
    queued_at: datetime
    updated_at: datetime
    state: DeviceState = DeviceState.QUEUED
    attempt: int = 1
    claims: int = 0
    tries: int = 0
    delays: int = 0
    not_before: datetime | None = None
    in_doubt: bool = False
    seen_offline: bool = False
    baseline: Baseline = Baseline()
    method: MethodAnswer | None = None
    firmware_status: str | None = None
    progress_percent: int | None = None
    error: Reason | None = None
    previous_version: str | None = None
    dispatched_at: datetime | None = None
    claimed_at: datetime | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    explanation: str = "Waiting for its turn."
    history: tuple[Step, ...] = field(default=())
