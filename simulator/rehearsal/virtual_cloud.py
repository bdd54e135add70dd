"""The use cases of the backend on a virtual clock, with ports that keep everything in memory.

The clock stands still while a use case runs. It moves from tick to tick, and from batch to batch
in the queue.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from functions.hub_gateway.port import HubGateway
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import window
from functions.use_cases.advance import advance
from functions.use_cases.dispatch import dispatch
from functions.use_cases.services import Services
from simulator.rehearsal.memory_stores import MemoryStores
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_queue import VirtualQueue

# The interval of the default schedule.
TICK = timedelta(seconds=10)
# Once every device has been tried, days may pass with devices that are offline or busy. The timer
# then ticks less often, so that a rehearsal of a week takes no longer than one of an hour.
LATE_TICK = timedelta(minutes=1)
WAITING_TICK = timedelta(minutes=5)


class VirtualCloud:
    """A store, a queue and the use cases around a hub."""

    def __init__(self, hub: HubGateway, clock: VirtualClock, limits: Quotas, seed: int) -> None:
        self.clock = clock
        self.stores = MemoryStores()
        self.queue = VirtualQueue(clock)
        self.services = Services(
            hub=hub,
            stores=self.stores,
            queue=self.queue,
            limits=limits,
            clock=clock,
            jitter=Random(seed).random,
            sleep=lambda _: None,
            new_id=rollout_id_source(seed),
        )

    def tick(self, interval: timedelta = TICK) -> None:
        """Run one tick of the timer, and all batches until the next tick is due."""
        advance(self.services)
        until = self.clock.now + interval
        while (taken := self.queue.due(until)) is not None:
            self.clock.now = max(self.clock.now, taken[0])
            dispatch(self.services, taken[1])
        self.clock.now = until

    def run(self, rollout_id: str, should_stop: Callable[[Rollout], bool]) -> Rollout:
        """Run ticks until the rollout is over or `should_stop` returns True. Return the rollout.

        `should_stop` is called after each tick, and also at the end of an idle time that is
        skipped.
        """
        while True:
            self.tick(tick_interval(self.rollout(rollout_id)))
            rollout = self.rollout(rollout_id)
            if should_stop(rollout) or rollout.is_over:
                return rollout
            if self._skip_idle_time(rollout) and should_stop(rollout):
                return rollout

    def rollout(self, rollout_id: str) -> Rollout:
        """Return a stored rollout. Raises KeyError if none exists."""
        return self._snapshot(rollout_id).rollout

    def updates(self, rollout_id: str) -> list[DeviceUpdate]:
        """Return the device updates of a rollout in start order. Raises KeyError."""
        snapshot = self._snapshot(rollout_id)
        numbers = range(len(snapshot.rollout.block_summaries))
        blocks = self.stores.rollouts.get_blocks(snapshot, numbers).blocks
        return [update for number in sorted(blocks) for update in blocks[number].updates]

    def _snapshot(self, rollout_id: str) -> Snapshot:
        snapshot = self.stores.rollouts.get(rollout_id)
        if snapshot is None:
            raise KeyError(rollout_id)
        return snapshot

    def _skip_idle_time(self, rollout: Rollout) -> bool:
        """Move the clock past ticks that would find nothing to do. Return whether it moved."""
        wakes_at = next_event_at(rollout, self.clock.now)
        search_at = self.services.searches.due_at(rollout, self.clock.now)
        if wakes_at is not None and search_at is not None:
            wakes_at = min(wakes_at, search_at)
        if wakes_at is None or len(self.queue) or wakes_at <= self.clock.now + TICK:
            return False
        ticks = (wakes_at - self.clock.now) // TICK
        self.clock.now += ticks * TICK
        return True


def rollout_id_source(seed: int) -> Callable[[datetime], str]:
    """Return a function that makes ids of the service's form, equal for equal seeds.

    The devices of a wave depend on the id, so only equal ids repeat a rehearsal.
    """
    random = Random(seed)

    def new_id(now: datetime) -> str:
        time, _ = new_rollout_id(now).split("-")
        return f"{time}-{random.getrandbits(48):012x}"

    return new_id


def tick_interval(rollout: Rollout) -> timedelta:
    """Return the time until the next tick: longer once few devices are left to observe."""
    counts = rollout.counts
    all_tried = all(wave.leased == wave.size for wave in rollout.waves)
    under_way = counts.updating + counts.soaking
    # While more than 1% of the devices are under way, each end is observed as it happens.
    if not all_tried or rollout.resolution is not None or under_way * 100 > counts.total:
        return TICK
    can_dispatch = rollout.dispatch.leases or rollout.dispatch.ready
    return LATE_TICK if under_way or can_dispatch else WAITING_TICK


def next_event_at(rollout: Rollout, now: datetime) -> datetime | None:
    """Return the time before which no tick would find anything to do, or None if unknown."""
    if rollout.dispatch.leases or rollout.resolution is not None:
        return None
    all_tried = all(wave.leased == wave.size for wave in rollout.waves)
    can_start = rollout.dispatch.ready or rollout.dispatch.repeats or not all_tried
    starts_at = _starts_blocked_until(rollout, now) if can_start else None
    if can_start and starts_at is None:
        return None
    due = [block.due_at for block in rollout.block_summaries if block.due_at is not None]
    return min((*due, *([starts_at] if starts_at else [])), default=None)


def _starts_blocked_until(rollout: Rollout, now: datetime) -> datetime | None:
    """Return the time before which no device may start, or None if no time forbids it."""
    if rollout.status is RolloutStatus.SCHEDULED:
        return rollout.definition.start_at
    if rollout.status_reason is not None and rollout.status_reason.code == "dailyQuota":
        # The hub's daily message quota begins anew at midnight UTC.
        return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    limits = rollout.strategy.window
    if limits is None or window.is_open(limits, now):
        return None
    return window.next_opening(limits, now)
