"""A rollout as a whole: its status, its waves with their counters, and where its work stands.

The one record that every change of a rollout goes through: whatever is written of a rollout's
devices is written together with it, so its counters cannot drift and no command is undone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from functions.rollouts.model.device_update import DeviceState, DeviceUpdate, Reason
from functions.rollouts.model.strategy import Strategy

# Device updates are kept in blocks: of this many neighbours in the order of the start.
BLOCK_SIZE = 100


class RolloutStatus(StrEnum):
    """Where a rollout stands; the last three are final."""

    SCHEDULED = "scheduled"  # not begun: its devices are being written, or its time has not come
    RUNNING = "running"
    PAUSED = "paused"  # nothing starts; what has started is followed to its end
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATUS_MOVES: Mapping[RolloutStatus, frozenset[RolloutStatus]] = {
    RolloutStatus.SCHEDULED: frozenset(
        {RolloutStatus.RUNNING, RolloutStatus.CANCELLED, RolloutStatus.FAILED}
    ),
    RolloutStatus.RUNNING: frozenset(
        {
            RolloutStatus.PAUSED,
            RolloutStatus.COMPLETED,
            RolloutStatus.FAILED,
            RolloutStatus.CANCELLED,
        }
    ),
    RolloutStatus.PAUSED: frozenset(
        {
            RolloutStatus.RUNNING,
            RolloutStatus.COMPLETED,
            RolloutStatus.FAILED,
            RolloutStatus.CANCELLED,
        }
    ),
    RolloutStatus.COMPLETED: frozenset({RolloutStatus.RUNNING}),
    RolloutStatus.FAILED: frozenset({RolloutStatus.RUNNING}),
    RolloutStatus.CANCELLED: frozenset(),
}
"""Where a rollout may go from each status; back to running from an end only by a retry."""


class WaveStatus(StrEnum):
    """Where a wave stands."""

    PENDING = "pending"  # not opened
    RUNNING = "running"
    SOAKING = "soaking"  # the devices that have not ended are soaking
    COMPLETED = "completed"  # all its devices have ended, and enough of them completed
    FAILED = "failed"  # its gate was breached, or its devices ended below the success share


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    version: str
    package_uri: str = field(repr=False)  # may hold a secret
    sha256: str | None = None  # 64 lower-case hex digits
    size_bytes: int | None = None
    manifest: str | None = field(default=None, repr=False)  # signed; see `manifest`


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many devices are where; the parts add up to `total`."""

    queued: int = 0
    updating: int = 0
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
    def asked(self) -> int:
        """What shares are of: all but the skipped."""
        return self.total - self.skipped

    @property
    def healthy(self) -> int:
        """Finished well, as far as is known: completed, soak still running or over."""
        return self.completed + self.soaking


def counted_as(state: DeviceState) -> str:
    """The counter that a device in `state` is counted in."""
    return "updating" if state.in_flight else state.value


def count(states: Iterable[DeviceState]) -> Counts:
    tally: dict[str, int] = {}
    for state in states:
        name = counted_as(state)
        tally[name] = tally.get(name, 0) + 1
    return Counts(**tally)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Devices at the places `first` to before `first + size` in the order of the start.

    `begun` is how many of them were handed out at least once: they start in order. Failed and
    healthy devices that a person has seen and resumed over are `waived`; the gate begins afresh
    behind them. `passed` marks a wave that ended below its success share and was resumed over.
    """

    name: str
    first: int
    size: int
    approval: bool = False
    approved: bool = False
    status: WaveStatus = WaveStatus.PENDING
    counts: Counts = Counts()
    begun: int = 0
    acknowledged_failed: int = 0
    acknowledged_healthy: int = 0
    passed: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """What is known of a block without reading it.

    `observe_at` is when one of its devices wants attention, None if none does; `revision` is the
    rollout's when the block was last written.
    """

    observe_at: datetime | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Devices of one block on their way to be asked; `members` is a bit for each place in it.

    A `repeat` is of attempts in doubt, which are sent again and hold a place already.

    One that was not taken up by `until` is lost, and its devices are handed out again.
    """

    number: int
    block: int
    members: int
    until: datetime
    repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the audit trail. `by` is a caller, or `rollout` for the rollout itself."""

    at: datetime
    action: str
    by: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is to be updated: a list of device ids, or a condition (None: a list)."""

    condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResolution:
    """How far the devices of a large rollout have been collected and written.

    `parts` is how many parts of the target are stored, and `devices` in them. The first
    `asked_parts` are a list as it was asked for, of which `looked_up` devices have been looked up
    for the waves to be spread over their values; `cursor` continues the query of a condition.
    `gathered` says that the target is complete; then `written` blocks of it are stored.
    """

    parts: int = 0
    asked_parts: int = 0
    devices: int = 0
    cursor: str | None = None
    looked_up: int = 0
    gathered: bool = False
    written: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLoad:
    """What was seen of the hub since the timer last took it in, for the pacing.

    `starts` and `queries` were spent by the request that created the rollout, not by the timer.
    """

    methods: int = 0
    throttled: int = 0
    seconds: float = 0.0
    starts: int = 0
    queries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """`revision` counts its changes, `marks` has one entry for each block of devices.

    `ready` are devices that may start as soon as it is their turn: block to a bit for each place;
    `repeats` those whose attempt in doubt is to be sent again.
    `firmware` is what most devices get, `earlier_firmware` what else a rollback hands out.
    `finished` and `finish_seconds` are of devices that reported their end: how many, and how
    long after they were asked in all. A rollout is over when `ended_at` is set; a cancelled one
    is not before the devices that were under way have ended.
    """

    id: str
    status: RolloutStatus
    firmware: Firmware
    target: Target
    strategy: Strategy
    labels: Mapping[str, str]
    created_at: datetime
    created_by: str = "api"
    start_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status_reason: Reason | None = None
    waves: tuple[Wave, ...] = ()
    marks: tuple[BlockSummary, ...] = ()
    ready: Mapping[int, int] = field(default_factory=dict)
    repeats: Mapping[int, int] = field(default_factory=dict)
    leases: tuple[Lease, ...] = ()
    lease_count: int = 0
    revision: int = 0
    resolution: TargetResolution | None = None
    earlier_firmware: tuple[Firmware, ...] = ()
    rollback_of: str | None = None
    rolled_back_by: str | None = None
    hub_load: HubLoad = HubLoad()
    finished: int = 0
    finish_seconds: float = 0.0
    events: tuple[Event, ...] = ()
    event_count: int = 0

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    @property
    def total(self) -> int:
        return sum(wave.size for wave in self.waves)

    @property
    def counts(self) -> Counts:
        """Of all waves together; before there are waves, what has been gathered is queued."""
        if self.resolution is not None:
            return Counts(queued=self.resolution.devices)
        return add_up(wave.counts for wave in self.waves)

    def firmware_for(self, update: DeviceUpdate) -> Firmware:
        """What this device is to run."""
        if update.version is None:
            return self.firmware
        known = (self.firmware, *self.earlier_firmware)
        return next(item for item in known if item.version == update.version)


def add_up(counts: Iterable[Counts]) -> Counts:
    parts = list(counts)
    return Counts(
        queued=sum(part.queued for part in parts),
        updating=sum(part.updating for part in parts),
        soaking=sum(part.soaking for part in parts),
        completed=sum(part.completed for part in parts),
        failed=sum(part.failed for part in parts),
        cancelled=sum(part.cancelled for part in parts),
        skipped=sum(part.skipped for part in parts),
    )


@dataclass(frozen=True, slots=True)
class Block:
    """The device updates at the places `number * BLOCK_SIZE` and on."""

    number: int
    updates: tuple[DeviceUpdate, ...]

    def changed(
        self, change: Callable[[DeviceUpdate], DeviceUpdate], places: Iterable[int] | None = None
    ) -> "Block":
        """With each update changed, or those at these places; itself where none is another."""
        updates = list(self.updates)
        for place in range(len(updates)) if places is None else places:
            updates[place] = change(updates[place])
        unchanged = all(new is old for new, old in zip(updates, self.updates, strict=True))
        return self if unchanged else Block(self.number, tuple(updates))

    def find(self, device_id: str) -> DeviceUpdate | None:
        """Return the update of a device, or None if it is not in this block."""
        return next((update for update in self.updates if update.device_id == device_id), None)


def blocks_for(devices: int) -> int:
    """How many blocks that many devices fill."""
    return -(-devices // BLOCK_SIZE)
