"""A rollout as a whole: what was requested, its waves with their counters, and its progress.

A rollout's record is written together with each change of its device updates, so that its
counters always match them and no command is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from functions.rollouts.model.audit_trail import AuditTrail
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.dispatch import Dispatch
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.identity import API, Identity
from functions.rollouts.model.joining import NO_JOINING, Joining
from functions.rollouts.model.later_rollouts import NO_LATER_ROLLOUTS, LaterRollouts
from functions.rollouts.model.measurements import HubLoad, Measurements
from functions.rollouts.model.outage import Outage
from functions.rollouts.model.pending_retry import PendingRetry
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import Rollback
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.target import Target, TargetResolution
from functions.rollouts.model.wave import Counts, Wave, add_up


class RolloutStatus(StrEnum):
    """Where a rollout stands; the last three are its ends."""

    SCHEDULED = "scheduled"  # its devices are being written, or its start time has not come
    RUNNING = "running"
    PAUSED = "paused"  # no device starts; devices in flight are followed to their end
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATUS_MOVES: Mapping[RolloutStatus, frozenset[RolloutStatus]] = {
    RolloutStatus.SCHEDULED: frozenset(
        {
            RolloutStatus.RUNNING,
            RolloutStatus.PAUSED,
            RolloutStatus.CANCELLED,
            RolloutStatus.FAILED,
        }
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
            RolloutStatus.SCHEDULED,  # a resume of what had not started
            RolloutStatus.RUNNING,
            RolloutStatus.COMPLETED,
            RolloutStatus.FAILED,
            RolloutStatus.CANCELLED,
        }
    ),
    RolloutStatus.COMPLETED: frozenset({RolloutStatus.RUNNING}),
    RolloutStatus.FAILED: frozenset({RolloutStatus.RUNNING, RolloutStatus.SCHEDULED}),
    RolloutStatus.CANCELLED: frozenset({RolloutStatus.RUNNING, RolloutStatus.SCHEDULED}),
}
"""The allowed moves of a rollout's status. From an end back, only by a retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What was requested. A retry changes the package URI, a change of the rollout the strategy."""

    firmware: Firmware  # what most devices, or all, are to run
    target: Target  # the devices that it is meant for
    strategy: Strategy  # how it is carried out, defaults filled in
    labels: Mapping[str, str]  # the caller's own, at most 20
    created_at: datetime  # when the request was stored
    created_by: Identity = API  # the caller, or the app itself for an automatic rollback
    start_at: datetime | None = None  # None: as soon as its devices are known
    rollback_of: str | None = None  # the id of the rollout that it undoes; None: no rollback
    earlier_firmware: tuple[Firmware, ...] = ()  # a rollback's other packages
    earlier_links: tuple[str, ...] = ()  # package URIs that retries have replaced, oldest first
    key_hash: str | None = None  # SHA-256 of the request's idempotency key, in hex; None: no key


@dataclass(frozen=True, slots=True, kw_only=True)
class StartClock:
    """How long a rollout's devices could start; `rollout/start_clock.py` advances it."""

    counted: timedelta = timedelta()  # until `at`
    at: datetime | None = None  # None: not counted since the rollout started


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout; a change makes a new record."""

    id: str  # sorts newest first
    definition: Definition  # what was requested
    status: RolloutStatus  # set by `rollout/status.py` only
    status_reason: Reason | None = None  # None: the status needs no explanation
    stops: tuple[Stop, ...] = ()  # what keeps it paused, oldest first; empty: it is not paused
    started_at: datetime | None = None  # None: not started
    ended_at: datetime | None = None  # None: some device has not ended, even if it is cancelled
    resolution: TargetResolution | None = None  # None: all devices are written
    waves: tuple[Wave, ...] = ()  # empty until all devices are written
    # Names of the values of `stratifyBy`, most devices first; empty: none, or as `waves`.
    strata: tuple[str, ...] = ()
    stratum_gates: tuple[StratumGate, ...] = ()  # by index in `strata`; empty: none is judged
    # Its failures by error code, the most frequent first; None: an earlier release stored some, and
    # only its devices tell why they failed.
    failures: tuple[FailureCount, ...] | None = ()
    gate_history: tuple[GateStep, ...] = ()  # changes of the gate's ratios, oldest first
    block_summaries: tuple[BlockSummary, ...] = ()  # one for each block, by number
    dispatch: Dispatch = field(default_factory=Dispatch)  # what may start, and what is leased
    measured: Measurements = field(default_factory=Measurements)  # of the hub and its devices
    audit: AuditTrail = field(default_factory=AuditTrail)  # the latest events
    # Another rollout had some of its devices so lately that the hub's queries may be behind.
    needs_fresh_twins: bool = False
    later: LaterRollouts = NO_LATER_ROLLOUTS  # what supersedes its devices, while it is open
    freeze: Freeze | None = None  # the latest that it knows, over or not; None: it knows none
    rollback: Rollback | None = None  # what undoes it; None: nothing does
    retry: PendingRetry | None = None  # queues devices again; None: no retry is under way
    joining: Joining = NO_JOINING  # how far late joiners were searched, if its target takes any
    start_clock: StartClock = StartClock()  # measures the offline deadline of its devices
    outages: tuple[Outage, ...] = ()  # the latest, oldest first
    outage_unchecked: bool = False  # it was told that too few devices can show an outage
    revision: int = 0  # number of changes stored
    # The first revision with the present soak; devices of blocks that were last written before may
    # still have an earlier one. 0: it was never changed.
    soak_revision: int = 0
    timeout_revision: int = 0  # the same, for the timeout

    @property
    def firmware(self) -> Firmware:
        return self.definition.firmware

    @property
    def packages(self) -> tuple[Firmware, ...]:
        """Return all firmware that its devices are to run; several in a rollback."""
        return (self.firmware, *self.definition.earlier_firmware)

    @property
    def strategy(self) -> Strategy:
        return self.definition.strategy

    @property
    def is_over(self) -> bool:
        """Return whether all its devices have ended."""
        return self.ended_at is not None

    @property
    def is_followed(self) -> bool:
        """Return whether ticks still advance it: some device has not ended, or may complete late.

        When all devices have ended, only devices that may complete late have a due time.
        """
        return not self.is_over or any(item.due_at is not None for item in self.block_summaries)

    @property
    def total(self) -> int:
        """Return the number of its devices; 0 until all are written."""
        return sum(wave.size for wave in self.waves)

    @property
    def wave_ends(self) -> tuple[int, ...]:
        """Return the position after the last device of each wave."""
        return tuple(wave.first + wave.size for wave in self.waves)

    @property
    def counts(self) -> Counts:
        """Return the counts of all waves together.

        Until all devices are written, those known so far count as queued.
        """
        if self.resolution is not None:
            return Counts(queued=self.resolution.devices)
        return add_up(wave.counts for wave in self.waves)

    def with_hub_load(self, load: HubLoad) -> "Rollout":
        """Replace what was measured of the hub. Return self if that is what was measured."""
        if load == self.measured.hub_load:
            return self
        return replace(self, measured=replace(self.measured, hub_load=load))

    def firmware_for(self, update: DeviceUpdate) -> Firmware:
        """Return the firmware that the device of `update` is to run."""
        if update.version is None:
            return self.definition.firmware
        packages = [item for item in self.packages if item.version == update.version]
        return packages[update.package]

    def links_for(self, update: DeviceUpdate) -> tuple[str, ...]:
        """Return the package URIs that the device of `update` was sent, or may have been."""
        return (self.firmware_for(update).package_uri, *self.definition.earlier_links)
