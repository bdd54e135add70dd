"""The strategy of a rollout: its records and their defaults.

All records are frozen. Shares are exact hundredths of a percent, never floating point.
"""

from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum
from fractions import Fraction

_WHOLE = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """An exact share of a number of devices: `Share(250)` is 2.5%."""

    hundredths: int  # of a percent, 0..10000

    def __str__(self) -> str:
        whole, rest = divmod(self.hundredths, 100)
        return f"{whole}.{rest:02d}".rstrip("0") + "%" if rest else f"{whole}%"

    def of(self, total: int) -> Fraction:
        """Return this share of `total`, exactly: 2.5% of 21 is 21/40."""
        return Fraction(total * self.hundredths, _WHOLE)

    def at_least(self, total: int) -> int:
        """Return the lowest count that is at least this share of `total`: 5% of 21 is 2."""
        return -(-total * self.hundredths // _WHOLE)


def percent(value: int) -> Share:
    """Return a whole percentage as a share."""
    return Share(value * 100)


_ONE_PERCENT = percent(1)
_TEN_PERCENT = percent(10)
_QUARTER = percent(25)


class RetryOn(StrEnum):
    """The failures after which a device update gets another attempt."""

    # The response to the direct method was lost, or has a temporary status.
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timedOut"  # not finished within the timeout
    REPORTED = "reported"  # the device reported a failure
    REJECTED = "rejected"  # the device refused the direct method with another status


class OfflinePolicy(StrEnum):
    """What happens to a device that is offline when it should start."""

    WAIT = "wait"
    SKIP = "skip"


class WhenAlreadyRunning(StrEnum):
    """What happens to a device that runs the requested version before it starts."""

    SKIP = "skip"
    REINSTALL = "reinstall"


class OnBreach(StrEnum):
    """What a rollout does after a breach of a wave's failure gate."""

    PAUSE = "pause"
    CANCEL = "cancel"
    ROLLBACK = "rollback"
    FREEZE = "freeze"  # only a stratum that is breached stops; a breach of a wave pauses


class OnConflict(StrEnum):
    """What a new rollout does about devices that other rollouts have not finished with."""

    SUPERSEDE = "supersede"  # the other rollouts skip them
    REFUSE = "refuse"  # the new rollout is not created


class ResolveTarget(StrEnum):
    """When the condition of a target is evaluated."""

    CREATION = "creation"
    START = "start"  # at the rollout's `start_at`


class Day(StrEnum):
    """Days of the week, Monday first."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePlan:
    """One wave as the caller requested it."""

    size: int | Share  # number of devices, or a share of all devices; shares add up
    name: str | None = None  # None: the wave is called by its number
    approval: bool = False  # whether the wave opens only after a person has approved it


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGate:
    """The failure rates between which the gate decides: 0 < acceptable < unacceptable < 100%."""

    acceptable: Share = _ONE_PERCENT  # a wave with this failure rate passes
    unacceptable: Share = _TEN_PERCENT  # a wave with this failure rate breaches the gate
    confidence: float = 0.95  # between 0.5 and 1, both excluded; both error rates are 1 - this
    on_breach: OnBreach = OnBreach.PAUSE  # what the rollout does after a breach


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, and after which failures, a device update is attempted again."""

    attempts: int = 3  # number of attempts, with the first
    on: frozenset[RetryOn] = frozenset({RetryOn.UNREACHABLE, RetryOn.TIMED_OUT})  # which failures
    initial_delay: timedelta = timedelta(seconds=30)  # before the second attempt; doubles each time
    max_delay: timedelta = timedelta(minutes=30)  # the delay stops doubling here


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """What happens to devices that are offline when they should start."""

    policy: OfflinePolicy = OfflinePolicy.WAIT
    deadline: timedelta = timedelta(days=7)  # runs from when the device was first found offline


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time of day in which devices may start.

    A window whose end is not after its start ends on the next day.
    """

    start: time  # local time
    end: time  # local time; devices may start until just before it
    timezone: str  # name in the IANA time zone database
    days: frozenset[Day] = frozenset()  # days on which the window starts; empty: all days


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a rollout is carried out."""

    waves: tuple[WavePlan, ...] = ()  # in the order in which they open; empty: one wave
    # Of a wave's eligible devices, before the next wave opens; None: as many as the gate allows.
    success_share: Share | None = None
    min_completed: int | Share = _QUARTER  # of a wave's devices, before the next wave opens
    failure_gate: FailureGate = FailureGate()
    # Of a wave's devices, that may fail without having started; more pause the rollout.
    max_not_started: int | Share = _TEN_PERCENT
    stratify_by: tuple[str, ...] = ()  # twin paths like `tags.model`; waves mix their values
    soak: timedelta = timedelta(0)  # how long a completed device must stay healthy
    max_in_flight: int | None = None  # devices updating at once; None: the hub's quotas decide
    timeout: timedelta = timedelta(hours=1)  # from the method's acceptance to the update's end
    retry: Retry = Retry()
    offline: Offline = Offline()
    on_conflict: OnConflict = OnConflict.SUPERSEDE
    resolve_target: ResolveTarget = ResolveTarget.CREATION
    window: Window | None = None  # None: devices may start at any time
    verify_version: bool = True  # whether the version that a device reports must be the requested
    when_already_running: WhenAlreadyRunning = WhenAlreadyRunning.SKIP
