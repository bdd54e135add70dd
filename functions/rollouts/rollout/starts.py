"""Which devices start next: the leases of a tick, and what becomes of each.

Devices start in order, wave by wave. Devices that were leased before (offline, to be tried again,
a lost batch) come first. A lease is recorded in the rollout: a batch whose lease is not there any
more starts nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.model.block import BLOCK_SIZE, devices_between
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.freeze_matches import recheck_oldest, return_thawed
from functions.rollouts.rollout.permission import free_slots, obstacle, obstacle_except_limit
from functions.rollouts.rollout.ready_devices import return_devices

MAX_BATCH = BLOCK_SIZE
# How long a batch may take to be claimed before its devices are leased again.
LEASE_DURATION = timedelta(seconds=60)
# What a twin adds to the time of a batch whose twins are read one by one, from a slow hub: several
# reads of a few seconds run at the same time.
SLOW_READ = timedelta(seconds=0.7)
# How long a batch may take whose twins need longer than its lease.
SLOW_LEASE_DURATION = timedelta(minutes=10)


def lease_batches(
    rollout: Rollout, now: datetime, budget: int, *, whole: bool = False
) -> tuple[Rollout, tuple[Lease, ...]]:
    """Lease at most `budget` devices. Return the changed rollout and the new leases.

    `whole` leaves a batch that the budget would cut to the next tick: fewer, larger batches.
    """
    rollout = return_thawed(_return_expired(rollout, now), now)
    plan = _Plan(rollout, now, budget)
    for number, wave in enumerate(rollout.waves):
        if (
            plan.room > 0
            and rollout.dispatch.repeats
            and obstacle_except_limit(rollout, number, now) is None
        ):
            plan.take_repeats(wave)
    plan.limit_to(free_slots(rollout), whole=whole)
    for number, wave in enumerate(rollout.waves):
        if (
            plan.room > 0
            and _has_devices_to_lease(rollout, wave)
            and obstacle(rollout, number, now) is None
        ):
            plan.take_ready(wave)
            plan.take_fresh(number, wave)
    rollout, leases = plan.result()
    return (recheck_oldest(rollout, now) if plan.room > 0 else rollout), leases


def take_lease(rollout: Rollout, number: int) -> tuple[Rollout, Lease | None]:
    """Remove a lease from the rollout and return it; None if it is not there any more."""
    dispatch, found = rollout.dispatch, find_lease(rollout, number)
    if found is None:
        return rollout, None
    left = tuple(lease for lease in dispatch.leases if lease is not found)
    return replace(rollout, dispatch=replace(dispatch, leases=left)), found


def find_lease(rollout: Rollout, number: int) -> Lease | None:
    """Return a lease of the rollout; None if it is not there any more."""
    return next((lease for lease in rollout.dispatch.leases if lease.number == number), None)


def extend_lease(rollout: Rollout, number: int, until: datetime) -> Rollout:
    """Let a lease expire at `until`. Return the rollout itself if the lease is not there."""
    dispatch = rollout.dispatch
    leases = tuple(
        replace(lease, until=until) if lease.number == number else lease
        for lease in dispatch.leases
    )
    return replace(rollout, dispatch=replace(dispatch, leases=leases))


def _return_expired(rollout: Rollout, now: datetime) -> Rollout:
    dispatch = rollout.dispatch
    expired = [lease for lease in dispatch.leases if lease.until <= now]
    if not expired:
        return rollout
    kept = tuple(lease for lease in dispatch.leases if lease.until > now)
    rollout = replace(rollout, dispatch=replace(dispatch, leases=kept))
    for lease in expired:
        rollout = return_devices(rollout, lease.block, lease.devices, repeat=lease.repeat)
    return rollout


def _has_devices_to_lease(rollout: Rollout, wave: Wave) -> bool:
    return bool(rollout.dispatch.ready) or wave.leased < wave.size


class _Plan:
    """The leases of one tick while they are made."""

    def __init__(self, rollout: Rollout, now: datetime, room: int) -> None:
        self.room = room  # devices that may still be leased
        self._rollout = rollout
        self._until = now + LEASE_DURATION
        self._whole = False
        self._ready: dict[int, DeviceSet] = dict(rollout.dispatch.ready)
        self._repeats: dict[int, DeviceSet] = dict(rollout.dispatch.repeats)
        self._leased: dict[int, int] = {}
        self._made: list[Lease] = []

    def limit_to(self, free: int | None, *, whole: bool) -> None:
        """Lease at most `free` devices from here on; None is no limit."""
        budget = self.room
        if free is not None:
            leases = self._rollout.dispatch.leases
            under_way = sum(len(lease.devices) for lease in leases if not lease.repeat)
            self.room = min(budget, free - under_way)
        self._whole = whole and self.room == budget

    def take_repeats(self, wave: Wave) -> None:
        self._take(self._repeats, wave, repeat=True)

    def take_ready(self, wave: Wave) -> None:
        self._take(self._ready, wave, repeat=False)

    def _take(self, known: dict[int, DeviceSet], wave: Wave, *, repeat: bool) -> None:
        for block in sorted(known):
            in_wave = known[block] & devices_between(block, wave.first, wave.first + wave.size)
            taken = in_wave.first(self.room)
            if taken:
                self._make(block, taken, repeat=repeat)
                known[block] -= taken

    def take_fresh(self, number: int, wave: Wave) -> None:
        """Lease devices that were never leased, in start order."""
        leased = wave.leased
        while self.room > 0 and leased < wave.size:
            first = wave.first + leased
            block = first // BLOCK_SIZE
            wanted = min((block + 1) * BLOCK_SIZE, wave.first + wave.size) - first
            count = min(wanted, self.room)
            if count < wanted and self._whole:
                break
            self._make(block, devices_between(block, first, first + count))
            leased += count
        self._leased[number] = leased

    def result(self) -> tuple[Rollout, tuple[Lease, ...]]:
        if not self._made:
            return self._rollout, ()
        waves = tuple(
            replace(wave, leased=self._leased[number]) if number in self._leased else wave
            for number, wave in enumerate(self._rollout.waves)
        )
        made = tuple(self._made)
        before = self._rollout.dispatch
        dispatch = replace(
            before,
            ready={block: devices for block, devices in self._ready.items() if devices},
            repeats={block: devices for block, devices in self._repeats.items() if devices},
            leases=(*before.leases, *made),
            lease_count=before.lease_count + len(made),
        )
        return replace(self._rollout, waves=waves, dispatch=dispatch), made

    def _make(self, block: int, devices: DeviceSet, *, repeat: bool = False) -> None:
        number = self._rollout.dispatch.lease_count + len(self._made)
        self._made.append(
            Lease(number=number, block=block, devices=devices, until=self._until, repeat=repeat)
        )
        self.room -= len(devices)
