"""The cloud side on a virtual clock: the same use cases, with ports that keep all in memory.

The clock stands still while something is done, and moves from tick to tick, and from batch to
batch in the queue.
"""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from random import Random

from functions.dispatch_queue.port import Batch
from functions.hub_gateway.port import HubGateway
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import window
from functions.rollouts.rollout.pacing import Quotas
from functions.use_cases.advance import advance
from functions.use_cases.dispatch import dispatch
from functions.use_cases.services import Services
from simulator.rehearsal.memory_stores import MemoryStores

# The default schedule's interval.
TICK = timedelta(seconds=10)
# Once every device has been tried, days may pass with those that are away or busy: the timer is
# made to look less often then, and less still while none is under way, so that a rehearsal of a
# week takes no longer than one of an hour.
LATE_TICK = timedelta(minutes=1)
WAITING_TICK = timedelta(minutes=5)


class Clock:
    """Moved by whoever owns it; read by everybody."""

    __slots__ = ("now",)

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class VirtualQueue:
    """A pretended queue: batches by the moment when they can be taken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count()
        self._waiting: list[tuple[datetime, int, Batch]] = []

    def put(self, batch: Batch, delay_seconds: float) -> None:
        at = self._clock.now + timedelta(seconds=delay_seconds)
        heapq.heappush(self._waiting, (at, next(self._numbers), batch))

    def due(self, until: datetime) -> tuple[datetime, Batch] | None:
        """Take the first batch that can be taken until then."""
        if not self._waiting or self._waiting[0][0] > until:
            return None
        at, _, batch = heapq.heappop(self._waiting)
        return at, batch

    def clear(self) -> None:
        """Lose them all."""
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)


class VirtualCloud:
    """A store, a queue and the use cases around a hub."""

    def __init__(self, hub: HubGateway, clock: Clock, limits: Quotas, seed: int) -> None:
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
            new_id=_ids(Random(seed)),
        )

    def tick(self, interval: timedelta = TICK) -> None:
        """One tick of the timer, and all batches until the next one is due."""
        advance(self.services)
        until = self.clock.now + interval
        while (taken := self.queue.due(until)) is not None:
            self.clock.now = max(self.clock.now, taken[0])
            dispatch(self.services, taken[1])
        self.clock.now = until

    def run(self, rollout_id: str, watch: Callable[[Rollout], bool]) -> Rollout:
        """Tick until the rollout is over, or `watch`, which sees it after each tick, says stop.

        It sees both ends of a time that is left out, too: nothing happened between them.
        """
        while True:
            self.tick(until_next_tick(self.rollout(rollout_id)))
            rollout = self.rollout(rollout_id)
            if watch(rollout) or rollout.is_over:
                return rollout
            if self._leaves_out_quiet(rollout) and watch(rollout):
                return rollout

    def rollout(self, rollout_id: str) -> Rollout:
        """Raises KeyError for one that there is not."""
        return self._snapshot(rollout_id).rollout

    def updates(self, rollout_id: str) -> list[DeviceUpdate]:
        """What is stored of a rollout's devices, in order. Raises KeyError."""
        snapshot = self._snapshot(rollout_id)
        blocks = self.stores.rollouts.get_blocks(
            snapshot, range(len(snapshot.rollout.marks))
        ).blocks
        return [update for number in sorted(blocks) for update in blocks[number].updates]

    def _snapshot(self, rollout_id: str) -> Snapshot:
        snapshot = self.stores.rollouts.get(rollout_id)
        if snapshot is None:
            raise KeyError(rollout_id)
        return snapshot

    def _leaves_out_quiet(self, rollout: Rollout) -> bool:
        """Leave out ticks that would find nothing due, nothing ready and nothing to hand out."""
        wakes = quiet_until(rollout, self.clock.now)
        if wakes is None or len(self.queue) or wakes <= self.clock.now + TICK:
            return False
        ticks = (wakes - self.clock.now) // TICK
        self.clock.now += ticks * TICK
        return True


def _ids(chance: Random) -> Callable[[datetime], str]:
    """Ids as the service makes them, but the same from the same seed: waves depend on them."""

    def new_id(now: datetime) -> str:
        time, _ = new_rollout_id(now).split("-")
        return f"{time}-{chance.getrandbits(48):012x}"

    return new_id


def until_next_tick(rollout: Rollout) -> timedelta:
    counts = rollout.counts
    tried = all(wave.begun == wave.size for wave in rollout.waves)
    under_way = counts.updating + counts.soaking
    # Some are left of a fleet that was under way together: those are still seen as they end.
    if not tried or rollout.resolution is not None or under_way * 100 > counts.total:
        return TICK
    return LATE_TICK if under_way or rollout.leases or rollout.ready else WAITING_TICK


def quiet_until(rollout: Rollout, now: datetime) -> datetime | None:
    """When something may happen next, if until then nothing can."""
    if rollout.leases or rollout.resolution is not None:
        return None
    begun = all(wave.begun == wave.size for wave in rollout.waves)
    some_could_start = rollout.ready or rollout.repeats or not begun
    may_start = _may_start_from(rollout, now) if some_could_start else None
    if some_could_start and may_start is None:
        return None
    looks = (mark.observe_at for mark in rollout.marks if mark.observe_at is not None)
    return min((*looks, *([may_start] if may_start else [])), default=None)


def _may_start_from(rollout: Rollout, now: datetime) -> datetime | None:
    """The moment before which no device may start; None if they may, as far as time goes."""
    if rollout.status is RolloutStatus.SCHEDULED:
        return rollout.start_at
    if rollout.status_reason is not None and rollout.status_reason.code == "dailyQuota":
        # The hub counts its messages anew each day.
        return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    limits = rollout.strategy.window
    if limits is None or window.is_open(limits, now):
        return None
    return window.next_opening(limits, now)
