"""How a rollout is to be carried out: the strategy's records, with its defaults.

All records are frozen. Shares are exact hundredths of a percent, never floating point.
"""

from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

_WHOLE = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A share in hundredths of a percent, 0..10000: `Share(250)` is 2.5%."""

    hundredths: int

    def __str__(self) -> str:
        whole, rest = divmod(self.hundredths, 100)
        return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%" if rest else f"{whole}%"

    def at_least(self, total: int) -> int:
        """The fewest of `total` that are this share or more: 5% of 21 is 2."""
        return -(-total * self.hundredths // _WHOLE)


def percent(value: int) -> Share:
    """A whole percentage as a share."""
    return Share(value * 100)


_ONE_PERCENT = percent(1)
_TEN_PERCENT = percent(10)
_ALL = percent(100)


class RetryOn(StrEnum):
    """Which failures are tried again."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timedOut"
    REPORTED = "reported"


class OfflinePolicy(StrEnum):
    """What happens to a device that is not connected when its turn comes."""

    WAIT = "wait"
    SKIP = "skip"


class OnBreach(StrEnum):
    """What a rollout does when a wave's gate says that the firmware is bad."""

    PAUSE = "pause"
    CANCEL = "cancel"
    ROLLBACK = "rollback"


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
    """One wave as asked for. `size` is a number of devices, or a share of all of them.

    A share of at least one device is rounded up. A wave with `approval` opens only once a person
    has approved it.
    """

    size: int | Share
    name: str | None = None
    approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGate:
    """The two failure rates between which the gate decides, 0 < acceptable < unacceptable < 100%.

    `confidence` is in 0.5..1, both ends left out; both error rates are 1 - confidence.
    """

    acceptable: Share = _ONE_PERCENT
    unacceptable: Share = _TEN_PERCENT
    confidence: float = 0.95
    on_breach: OnBreach = OnBreach.PAUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`attempts` counts all tries together; the delay doubles from initial to max."""

    attempts: int = 3
    on: frozenset[RetryOn] = frozenset({RetryOn.UNREACHABLE, RetryOn.TIMED_OUT})
    initial_delay: timedelta = timedelta(seconds=30)
    max_delay: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """`deadline` runs from the moment the device was first found offline."""

    policy: OfflinePolicy = OfflinePolicy.WAIT
    deadline: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When devices may start: from `start` until before `end`, local time in `timezone` (IANA).

    A window whose end is not after its start goes on into the next day; its day is the one it
    starts on. No days are all days.
    """

    start: time
    end: time
    timezone: str
    days: frozenset[Day] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """`timeout` runs from the direct method's acceptance to the end of the update.

    `max_in_flight` is how many devices may be updating at once; None leaves it to the hub's
    quotas. `stratify_by` are twin paths, like `tags.model`, over whose values waves are spread.
    """

    waves: tuple[WavePlan, ...] = ()
    success_share: Share = _ALL
    failure_gate: FailureGate = FailureGate()
    stratify_by: tuple[str, ...] = ()
    soak: timedelta = timedelta(0)
    max_in_flight: int | None = None
    timeout: timedelta = timedelta(hours=1)
    retry: Retry = Retry()
    offline: Offline = Offline()
    window: Window | None = None
