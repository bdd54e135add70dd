"""A wave: its range in the start order, its status, and the counters of its devices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.gate_sequence import NO_SEQUENCE, GateSequence


class WaveStatus(StrEnum):
    """Where a wave stands."""

    PENDING = "pending"  # not opened
    RUNNING = "running"
    SOAKING = "soaking"  # the devices that have not ended are soaking
    COMPLETED = "completed"  # all its devices have ended, and enough of them completed
    FAILED = "failed"  # its gate was breached, or its devices ended below the success share


WAVE_MOVES: Mapping[WaveStatus, frozenset[WaveStatus]] = {
    WaveStatus.PENDING: frozenset({WaveStatus.RUNNING}),
    WaveStatus.RUNNING: frozenset({WaveStatus.SOAKING, WaveStatus.COMPLETED, WaveStatus.FAILED}),
    WaveStatus.SOAKING: frozenset({WaveStatus.RUNNING, WaveStatus.COMPLETED, WaveStatus.FAILED}),
    WaveStatus.COMPLETED: frozenset({WaveStatus.RUNNING}),  # by a retry
    WaveStatus.FAILED: frozenset({WaveStatus.RUNNING}),  # by a resume or a retry
}
"""The allowed moves of a wave's status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many devices are in which state; the counters add up to `total`."""

    queued: int = 0
    updating: int = 0  # in flight: from `dispatching` to `applying`
    soaking: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.queued + self.updating + self.soaking + self.ended

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled + self.skipped

    @property
    def eligible(self) -> int:
        """Return how many devices shares are computed of: all that are not skipped."""
        return self.total - self.skipped

    @property
    def healthy(self) -> int:
        """Return how many devices run the new firmware well, in their soak or after it."""
        return self.completed + self.soaking


COUNTERS = tuple(counter.name for counter in fields(Counts))


COUNTER_OF: Mapping[DeviceState, str] = {
    state: "updating" if state.in_flight else state.value for state in DeviceState
}
"""The name of the counter that counts a device in each state."""


def count(states: Iterable[DeviceState]) -> Counts:
    """Count devices by their states."""
    tally: dict[str, int] = {}
    for state in states:
        name = COUNTER_OF[state]
        tally[name] = tally.get(name, 0) + 1
    return Counts(**tally)


def add_up(counts: Iterable[Counts]) -> Counts:
    """Return the sum of several counts."""
    parts = list(counts)
    return Counts(
        queued=sum([part.queued for part in parts]),
        updating=sum([part.updating for part in parts]),
        soaking=sum([part.soaking for part in parts]),
        completed=sum([part.completed for part in parts]),
        failed=sum([part.failed for part in parts]),
        cancelled=sum([part.cancelled for part in parts]),
        skipped=sum([part.skipped for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStratum:
    """The devices of one stratum in one wave."""

    counts: Counts = Counts()
    already_running: int = 0  # as in `Wave`, and so are the next three
    not_started: int = 0
    acknowledged_failed: int = 0
    acknowledged_not_started: int = 0
    failed: tuple[int, ...] = ()  # start ranks in the wave of its devices that failed

    def acknowledge(self) -> "WaveStratum":
        """Acknowledge all failures."""
        return replace(
            self,
            acknowledged_failed=self.counts.failed,
            acknowledged_not_started=self.not_started,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """The devices from position `first` to before `first + size` of the start order."""

    name: str
    first: int  # position of its first device in the start order
    size: int  # devices
    approval: bool = False  # it opens only after an operator's approval
    approved: bool = False
    status: WaveStatus = WaveStatus.PENDING
    counts: Counts = Counts()
    already_running: int = 0  # skipped devices that ran the version before: `alreadyRunning`
    leased: int = 0  # devices leased at least once; devices are leased in start order
    sequence: GateSequence = NO_SEQUENCE  # what the failure gate judges
    # The gate's error rate is divided by this for the wave; None: by the number of waves.
    error_divisor: int | None = None
    not_started: int = 0  # failed devices that never accepted the method
    acknowledged_failed: int = 0  # failures an operator resumed past; the share ignores them
    acknowledged_not_started: int = 0  # of them, those of devices that never accepted the method
    acknowledged_at: datetime | None = None  # when that was; None: by a retry, or not at all
    passed: bool = False  # ended below its success share, and an operator resumed past it
    started_at: datetime | None = None  # None: not opened yet
    ended_at: datetime | None = None  # None: some of its devices have not ended
    strata: tuple[WaveStratum, ...] = ()  # by index in the rollout's; empty: none is judged
