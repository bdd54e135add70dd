"""Which devices are asked next: the hand-outs of a tick, and what becomes of each.

Devices start in order, wave by wave; those that were left before (offline, to be tried again, a
lost batch) come first. A hand-out is a promise of the rollout's record: a batch that does not
stand there any more starts nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from functions.rollouts.device import invoking
from functions.rollouts.device.moves import Moment
from functions.rollouts.model.rollout import BLOCK_SIZE, Block, Lease, Rollout, Wave
from functions.rollouts.rollout.permission import free_places, obstacle, obstacle_but_limit

BATCH_AT_MOST = BLOCK_SIZE
# How long a batch may be under way before its devices are handed out again.
LEASE = timedelta(seconds=60)


def handed_out(
    rollout: Rollout, now: datetime, budget: int, *, whole: bool = False
) -> tuple[Rollout, tuple[Lease, ...]]:
    """Hand out at most `budget` devices; gives the new hand-outs.

    `whole` leaves a batch that the budget would cut to the next tick: fewer, larger batches.
    """
    rollout = _with_lost_returned(rollout, now)
    plan = _Plan(rollout, now, budget)
    for number, wave in enumerate(rollout.waves):
        if plan.room > 0 and rollout.repeats and obstacle_but_limit(rollout, number, now) is None:
            plan.take_repeats(wave)
    plan.limit_to(free_places(rollout), whole=whole)
    for number, wave in enumerate(rollout.waves):
        if plan.room > 0 and _has_some(rollout, wave) and obstacle(rollout, number, now) is None:
            plan.take_ready(wave)
            plan.take_fresh(number, wave)
    return plan.result()


def taken_up(rollout: Rollout, number: int) -> tuple[Rollout, Lease | None]:
    """Take a hand-out off the record; None when it stands there no more."""
    found = next((item for item in rollout.leases if item.number == number), None)
    if found is None:
        return rollout, None
    left = tuple(item for item in rollout.leases if item is not found)
    return replace(rollout, leases=left), found


def returned(rollout: Rollout, block: int, members: int, *, repeat: bool = False) -> Rollout:
    """Devices that did not start are ready for another hand-out."""
    if not members:
        return rollout
    if repeat:
        return replace(rollout, repeats=_with(rollout.repeats, block, members))
    return replace(rollout, ready=_with(rollout.ready, block, members))


def with_ready(at: Moment, rollout: Rollout, block: Block) -> Rollout:
    """Devices that have no reason of their own to wait any longer are ready for a hand-out."""
    known = pending(rollout, block.number)
    ready = repeats = 0
    for place in places(begun(rollout, block.number) & ~known):
        update = block.updates[place]
        if invoking.is_ready(at, update):
            if update.in_doubt:
                repeats |= 1 << place
            else:
                ready |= 1 << place
    rollout = returned(rollout, block.number, ready)
    return returned(rollout, block.number, repeats, repeat=True)


def _with(known: Mapping[int, int], block: int, members: int) -> dict[int, int]:
    return {**known, block: known.get(block, 0) | members}


def pending(rollout: Rollout, block: int) -> int:
    """Those of a block that are ready, or handed out already."""
    members = rollout.ready.get(block, 0) | rollout.repeats.get(block, 0)
    for item in rollout.leases:
        if item.block == block:
            members |= item.members
    return members


def begun(rollout: Rollout, block: int) -> int:
    """Those of a block that were handed out at least once."""
    return _union(_places(block, wave.first, wave.first + wave.begun) for wave in rollout.waves)


def places(members: int) -> Iterator[int]:
    """The places of a block that are set, in order."""
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest


def _with_lost_returned(rollout: Rollout, now: datetime) -> Rollout:
    lost = [item for item in rollout.leases if item.until <= now]
    if not lost:
        return rollout
    kept = tuple(item for item in rollout.leases if item.until > now)
    rollout = replace(rollout, leases=kept)
    for item in lost:
        rollout = returned(rollout, item.block, item.members, repeat=item.repeat)
    return rollout


def _has_some(rollout: Rollout, wave: Wave) -> bool:
    return bool(rollout.ready) or wave.begun < wave.size


class _Plan:
    """Hand-outs as they are made."""

    def __init__(self, rollout: Rollout, now: datetime, room: int) -> None:
        self.room = room
        self._rollout = rollout
        self._until = now + LEASE
        self._whole = False
        self._ready: dict[int, int] = dict(rollout.ready)
        self._repeats: dict[int, int] = dict(rollout.repeats)
        self._begun: dict[int, int] = {}
        self._made: list[Lease] = []

    def limit_to(self, free: int | None, *, whole: bool) -> None:
        """From here on devices take places, of which so many are free; None is no limit."""
        budget = self.room
        if free is not None:
            under_way = sum(
                item.members.bit_count() for item in self._rollout.leases if not item.repeat
            )
            self.room = min(budget, free - under_way)
        self._whole = whole and self.room == budget

    def take_repeats(self, wave: Wave) -> None:
        self._take(self._repeats, wave, repeat=True)

    def take_ready(self, wave: Wave) -> None:
        self._take(self._ready, wave, repeat=False)

    def _take(self, known: dict[int, int], wave: Wave, *, repeat: bool) -> None:
        for block in sorted(known):
            mine = known[block] & _places(block, wave.first, wave.first + wave.size)
            taken = _first_of(mine, self.room)
            if taken:
                self._make(block, taken, repeat=repeat)
                known[block] &= ~taken

    def take_fresh(self, number: int, wave: Wave) -> None:
        begun = wave.begun
        while self.room > 0 and begun < wave.size:
            first = wave.first + begun
            block = first // BLOCK_SIZE
            wanted = min((block + 1) * BLOCK_SIZE, wave.first + wave.size) - first
            count = min(wanted, self.room)
            if count < wanted and self._whole:
                break
            self._make(block, _places(block, first, first + count))
            begun += count
        self._begun[number] = begun

    def result(self) -> tuple[Rollout, tuple[Lease, ...]]:
        waves = tuple(
            replace(wave, begun=self._begun.get(number, wave.begun))
            for number, wave in enumerate(self._rollout.waves)
        )
        made = tuple(self._made)
        changed = replace(
            self._rollout,
            waves=waves,
            ready={block: members for block, members in self._ready.items() if members},
            repeats={block: members for block, members in self._repeats.items() if members},
            leases=(*self._rollout.leases, *made),
            lease_count=self._rollout.lease_count + len(made),
        )
        return changed, made

    def _make(self, block: int, members: int, *, repeat: bool = False) -> None:
        number = self._rollout.lease_count + len(self._made)
        self._made.append(
            Lease(number=number, block=block, members=members, until=self._until, repeat=repeat)
        )
        self.room -= members.bit_count()


def _places(block: int, first: int, end: int) -> int:
    """The bits of the places `first` to before `end` that lie in a block."""
    low = max(first - block * BLOCK_SIZE, 0)
    high = min(end - block * BLOCK_SIZE, BLOCK_SIZE)
    return ((1 << (high - low)) - 1) << low if high > low else 0


def _first_of(members: int, count: int) -> int:
    """The first so many of the places that are set."""
    if members.bit_count() <= count:
        return members
    taken = 0
    for place in places(members):
        if count <= 0:
            break
        taken |= 1 << place
        count -= 1
    return taken


def _union(parts: Iterator[int]) -> int:
    members = 0
    for part in parts:
        members |= part
    return members
