"""Which devices start next: the leases of a tick, and what becomes of each.

Devices start in order, wave by wave. Devices that were leased before (offline, to be tried again,
a lost batch) come first. A lease is recorded in the rollout: a batch whose lease is not there any
more starts nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce

from functions.rollouts.device import readiness
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BLOCK_SIZE, Block
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.dispatch import FreezeMatches, Lease
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout import freezing
from functions.rollouts.rollout.frozen import frozen_strata
from functions.rollouts.rollout.permission import free_slots, obstacle, obstacle_except_limit

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
    rollout = _return_thawed(_return_expired(rollout, now), now)
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
    return (_recheck_oldest(rollout, now) if plan.room > 0 else rollout), leases


def take_lease(rollout: Rollout, number: int) -> tuple[Rollout, Lease | None]:
    """Remove a lease from the rollout and return it; None if it is not there any more."""
    dispatch = rollout.dispatch
    found = next((lease for lease in dispatch.leases if lease.number == number), None)
    if found is None:
        return rollout, None
    left = tuple(lease for lease in dispatch.leases if lease is not found)
    return replace(rollout, dispatch=replace(dispatch, leases=left)), found


def extend_lease(rollout: Rollout, number: int, until: datetime) -> Rollout:
    """Let a lease expire at `until`. Return the rollout itself if the lease is not there."""
    dispatch = rollout.dispatch
    leases = tuple(
        replace(lease, until=until) if lease.number == number else lease
        for lease in dispatch.leases
    )
    return replace(rollout, dispatch=replace(dispatch, leases=leases))


def take_pending(rollout: Rollout, block: int, devices: DeviceSet) -> tuple[Rollout, DeviceSet]:
    """Take those of `devices` that are ready or leased out of the rollout, and return them.

    Devices that match a freeze are taken too. A batch whose lease has expired may claim these;
    another batch will not find them.
    """
    taken = devices & pending_devices(rollout, block)
    dispatch = rollout.dispatch
    leases = tuple(
        replace(lease, devices=lease.devices - taken) if lease.block == block else lease
        for lease in dispatch.leases
    )
    dispatch = replace(
        dispatch,
        ready=_remove_devices(dispatch.ready, block, taken),
        repeats=_remove_devices(dispatch.repeats, block, taken),
        leases=leases,
        freeze_matches=tuple(
            replace(item, devices=item.devices - taken) if item.block == block else item
            for item in dispatch.freeze_matches
        ),
    )
    return replace(rollout, dispatch=dispatch), taken


def return_devices(
    rollout: Rollout, block: int, devices: DeviceSet, *, repeat: bool = False
) -> Rollout:
    """Make devices that did not start ready for another lease."""
    if not devices:
        return rollout
    dispatch = rollout.dispatch
    if repeat:
        dispatch = replace(dispatch, repeats=_add_devices(dispatch.repeats, block, devices))
    else:
        dispatch = replace(dispatch, ready=_add_devices(dispatch.ready, block, devices))
    return replace(rollout, dispatch=dispatch)


def record_matches(
    rollout: Rollout, block: Block, devices: DeviceSet, revision: int, now: datetime
) -> Rollout:
    """Keep devices from being leased while the freeze with this revision is in force.

    `block` is the block of the devices, as it is to be stored.
    """
    in_doubt = DeviceSet.of(index for index in devices if block.updates[index].in_doubt)
    added = tuple(
        FreezeMatches(
            block=block.number,
            devices=found,
            revision=revision,
            until=now + freezing.CHECK_INTERVAL,
            repeat=repeat,
        )
        for found, repeat in ((devices - in_doubt, False), (in_doubt, True))
        if found
    )
    matches = (*rollout.dispatch.freeze_matches, *added)
    return replace(rollout, dispatch=replace(rollout.dispatch, freeze_matches=matches))


def mark_ready(moment: Moment, rollout: Rollout, block: Block) -> Rollout:
    """Make the devices of `block` ready that have no reason of their own to wait any longer."""
    candidates = leased_devices(rollout, block.number) - pending_devices(rollout, block.number)
    candidates -= rollout.dispatch.frozen.get(block.number, NO_DEVICES)
    found = [
        (index, block.updates[index].in_doubt)
        for index in candidates
        if readiness.is_ready(moment, block.updates[index])
    ]
    frozen = _find_frozen(rollout, block)
    rollout = _freeze_devices(rollout, block.number, frozen & DeviceSet.of(i for i, _ in found))
    ready = DeviceSet.of(index for index, in_doubt in found if not in_doubt) - frozen
    repeats = DeviceSet.of(index for index, in_doubt in found if in_doubt) - frozen
    rollout = return_devices(rollout, block.number, ready)
    return return_devices(rollout, block.number, repeats, repeat=True)


def _find_frozen(rollout: Rollout, block: Block) -> DeviceSet:
    """Return the devices of a block whose strata are frozen."""
    found = frozen_strata(rollout)
    if not found:
        return NO_DEVICES
    updates = enumerate(block.updates)
    return DeviceSet.of(index for index, update in updates if update.stratum in found)


def _freeze_devices(rollout: Rollout, block: int, devices: DeviceSet) -> Rollout:
    """Keep devices that could start until their strata are resumed."""
    if not devices:
        return rollout
    dispatch = rollout.dispatch
    kept = _add_devices(dispatch.frozen, block, devices)
    return replace(rollout, dispatch=replace(dispatch, frozen=kept))


def pending_devices(rollout: Rollout, block: int) -> DeviceSet:
    """Return the devices of a block that are ready, leased, or match the condition of a freeze."""
    dispatch = rollout.dispatch
    found = dispatch.ready.get(block, NO_DEVICES) | dispatch.repeats.get(block, NO_DEVICES)
    kept = [(item.block, item.devices) for item in dispatch.leases]
    for number, devices in kept + [(item.block, item.devices) for item in dispatch.freeze_matches]:
        if number == block:
            found |= devices
    return found


def leased_devices(rollout: Rollout, block: int) -> DeviceSet:
    """Return the devices of a block that were leased at least once."""
    leased = (
        _devices_between(block, wave.first, wave.first + wave.leased) for wave in rollout.waves
    )
    return reduce(DeviceSet.__or__, leased, NO_DEVICES)


def _add_devices(
    known: Mapping[int, DeviceSet], block: int, devices: DeviceSet
) -> Mapping[int, DeviceSet]:
    return {**known, block: known.get(block, NO_DEVICES) | devices}


def _remove_devices(
    known: Mapping[int, DeviceSet], block: int, devices: DeviceSet
) -> Mapping[int, DeviceSet]:
    left = {**known, block: known.get(block, NO_DEVICES) - devices}
    return {number: found for number, found in left.items() if found}


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


def _return_thawed(rollout: Rollout, now: datetime) -> Rollout:
    """Make the devices ready that a freeze kept which is over, removed or replaced."""
    freeze = rollout.freeze
    in_force = freeze is not None and freeze.freezes_some(now)
    revision = freeze.revision if freeze is not None and in_force else None
    for item in rollout.dispatch.freeze_matches:
        if item.revision != revision:
            rollout = _thaw(rollout, item)
    return rollout


def _recheck_oldest(rollout: Rollout, now: datetime) -> Rollout:
    """Let one batch of devices that match a freeze be checked again, if it is time to."""
    oldest = next(iter(rollout.dispatch.freeze_matches), None)
    return _thaw(rollout, oldest) if oldest is not None and oldest.until <= now else rollout


def _thaw(rollout: Rollout, item: FreezeMatches) -> Rollout:
    kept = tuple(other for other in rollout.dispatch.freeze_matches if other is not item)
    rollout = replace(rollout, dispatch=replace(rollout.dispatch, freeze_matches=kept))
    return return_devices(rollout, item.block, item.devices, repeat=item.repeat)


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
            in_wave = known[block] & _devices_between(block, wave.first, wave.first + wave.size)
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
            self._make(block, _devices_between(block, first, first + count))
            leased += count
        self._leased[number] = leased

    def result(self) -> tuple[Rollout, tuple[Lease, ...]]:
        waves = tuple(
            replace(wave, leased=self._leased.get(number, wave.leased))
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


def _devices_between(block: int, first: int, end: int) -> DeviceSet:
    """Return the devices of a block at positions `first` to before `end` of the start order."""
    start = block * BLOCK_SIZE
    return DeviceSet.between(max(first - start, 0), min(end - start, BLOCK_SIZE))
