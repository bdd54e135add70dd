"""Hold what the use cases work with: ports, clock, random numbers and the hub's quotas."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.dispatch_queue.port import DispatchQueue
from functions.hub_gateway.port import HubGateway
from functions.outbound.port import PackageLinks, PackageLookup
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.device.moment import Moment, moment_of
from functions.rollouts.model.quarantine import QuarantineRule
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import start_clock
from functions.telemetry.port import NO_TELEMETRY, Telemetry
from functions.use_cases.commit_queue import CommitQueue
from functions.use_cases.failure_searches import FailureSearches
from functions.use_cases.known_devices import KnownDevices
from functions.use_cases.latest_snapshots import LatestSnapshots
from functions.use_cases.quarantine_cache import QuarantineCache
from functions.use_cases.rollout_watch import RolloutWatch
from functions.use_cases.tick_times import TickTimes
from functions.use_cases.webhook_ports import EventFeed, WebhookPorts


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every use case receives."""

    hub: HubGateway
    stores: Stores
    queue: DispatchQueue
    new_id: Callable[[datetime], str]  # the id of a rollout that is created at this time
    webhooks: WebhookPorts | None = None  # None: no webhook is delivered
    package_links: PackageLinks | None = None  # None: devices get package URIs as they are
    package_lookup: PackageLookup | None = None  # None: plans do not look packages up
    # These are shared by all use cases of a process.
    commits: CommitQueue[Any, Any] = field(default_factory=CommitQueue)
    latest: LatestSnapshots = field(default_factory=LatestSnapshots)
    feed: EventFeed = field(default_factory=EventFeed)
    known_devices: KnownDevices = field(default_factory=KnownDevices)
    searches: FailureSearches = field(default_factory=FailureSearches)
    quarantine_cache: QuarantineCache = field(default_factory=QuarantineCache)
    watch: RolloutWatch = field(default_factory=RolloutWatch)
    tick_times: TickTimes = field(default_factory=TickTimes)
    telemetry: Telemetry = NO_TELEMETRY
    retention: timedelta | None = None  # how long ended rollouts are kept; None: for ever
    quarantine_rule: QuarantineRule | None = None  # None: no device is quarantined
    limits: Quotas = field(default_factory=lambda: quotas(Tier.S1, 1))
    clock: Callable[[], datetime] = _now  # returns the time, aware, in UTC
    jitter: Callable[[], float] = random.random  # returns a random number, 0..1
    sleep: Callable[[float], None] = time.sleep  # takes seconds

    def moment(self, rollout: Rollout) -> Moment:
        """Return the rollout together with the current time."""
        now = self.clock()
        return moment_of(rollout, now, self.jitter, start_clock.advance(rollout, now).counted)
