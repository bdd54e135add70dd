"""Check the invariants of a stored rollout after every event of a test."""

from collections import Counter
from collections.abc import Mapping

from functions.rollouts.device.darkness import CONFIRMATION
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import MOVES, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.failure_count import failure_code
from functions.rollouts.model.rollout import STATUS_MOVES, Rollout, RolloutStatus
from functions.rollouts.model.shown_reason import shown_reason
from functions.rollouts.model.wave import COUNTER_OF
from functions.rollouts.rollout import ready_devices, window
from functions.rollouts.rollout.permission import OPEN
from functions.rollouts.rollout.start_ranks import is_firmware_failure
from tests.functions.use_cases.world import World


class Observer:
    """An observer that reads the stored rollout after every event and checks it."""

    def __init__(self, world: World, rollout_id: str) -> None:
        self.world = world
        self.rollout_id = rollout_id
        self.last: dict[str, DeviceUpdate] = {}
        self.rollout: Rollout | None = None
        self.started: Counter[str] = Counter()

    def observe(self) -> None:
        rollout, updates = self.world.rollout(self.rollout_id), self.world.updates(self.rollout_id)
        self._check_counters(rollout, updates)
        self._check_sequences(rollout, updates)
        if self.rollout is not None:
            before = self.rollout.status
            assert rollout.status in reachable(before, STATUS_MOVES), (before, rollout.status)
        for update in updates:
            self._check_move(update)
        self._check_starts(rollout, updates)
        self._check_not_forgotten(rollout, updates)
        _check_says_what_it_waits_for(rollout)
        limit = rollout.strategy.max_in_flight
        assert limit is None or rollout.counts.updating <= limit
        self.rollout = rollout
        self.last = {update.device_id: update for update in updates}

    def _check_counters(self, rollout: Rollout, updates: list[DeviceUpdate]) -> None:
        for number, wave in enumerate(rollout.waves):
            tally = Counter(COUNTER_OF[item.state] for item in updates if item.wave == number)
            for name in ("queued", "updating", "soaking", "completed", "failed", "skipped"):
                assert getattr(wave.counts, name) == tally[name], (number, name, wave, tally)
            assert wave.counts.total == wave.size
        codes = Counter(filter(None, map(failure_code, updates)))
        assert codes.total() == rollout.counts.failed
        assert {item.code: item.count for item in rollout.failures or ()} == codes
        examples = {item.example: item.code for item in rollout.failures or () if item.example}
        failed = {item.device_id: failure_code(item) for item in updates}
        assert all(failed[device_id] is code for device_id, code in examples.items())

    def _check_sequences(self, rollout: Rollout, updates: list[DeviceUpdate]) -> None:
        """Check what the gate judges against the stored updates."""
        for number, wave in enumerate(rollout.waves):
            sequence = wave.sequence
            mine = [item for item in updates if item.wave == number]
            ranked = {item.start_rank: item for item in mine if item.start_rank is not None}
            assert len(ranked) == sum(item.start_rank is not None for item in mine)
            assert max(ranked, default=0) <= sequence.started
            assert sequence.in_flight == sum(not item.state.ended for item in ranked.values())
            failed = {rank for rank, item in ranked.items() if is_firmware_failure(item)}
            counted = set(filter(None, sequence.failed))
            assert {rank for rank in failed if rank > sequence.first} <= counted <= failed
            assert all(item.start_rank for item in mine if item.state.in_flight)
            refused = [item for item in mine if item.state is DeviceState.FAILED]
            assert wave.not_started == len(refused) - len(failed)

    def _check_move(self, update: DeviceUpdate) -> None:
        """Check that allowed moves lead from the last observed state to this one."""
        before = self.last.get(update.device_id)
        times = [line.at for line in update.history]
        assert times == sorted(times)
        if before is None or before.state is update.state:
            return
        assert (update.attempt, update.state.rank) >= (before.attempt, before.state.rank)
        assert update.state in reachable(before.state, MOVES), (before, update)

    def _check_not_forgotten(self, rollout: Rollout, updates: list[DeviceUpdate]) -> None:
        """Check that each open device is fresh, leased, ready, or due at some time."""
        if rollout.is_over or rollout.status is RolloutStatus.CANCELLED:
            return
        for position, update in enumerate(updates):
            block, index = divmod(position, BLOCK_SIZE)
            leased = index in ready_devices.leased_devices(rollout, block)
            waits = index in ready_devices.pending_devices(rollout, block)
            if update.state.ended or waits or not leased:
                continue
            confirmed_at = update.dark_since and update.dark_since + CONFIRMATION
            wanted = update.not_before or update.observe_at or confirmed_at or self.world.now
            due_at = rollout.block_summaries[block].due_at
            assert due_at is not None, update
            assert due_at <= max(wanted, self.world.now), update

    def _check_starts(self, rollout: Rollout, updates: list[DeviceUpdate]) -> None:
        """Check that the devices started since the last observation were allowed to start."""
        for update in updates:
            before = self.last.get(update.device_id)
            fresh = update.dispatched_at is not None and (
                before is None or before.dispatched_at != update.dispatched_at
            )
            if not fresh or update.dispatched_at is None:
                continue
            wave = rollout.waves[update.wave]
            assert wave.started_at is not None
            assert wave.started_at <= update.dispatched_at
            limits = rollout.strategy.window
            assert limits is None or window.is_open(limits, update.dispatched_at)
            if (
                self.rollout is not None
            ):  # no device may start between two observations of a stopped rollout
                stopped = {RolloutStatus.PAUSED, RolloutStatus.CANCELLED}
                assert not (self.rollout.status in stopped and rollout.status in stopped), update


def _check_says_what_it_waits_for(rollout: Rollout) -> None:
    """Check that a rollout without a device in flight, leased or ready shows a reason."""
    dispatch = rollout.dispatch
    starts = dispatch.leases or dispatch.ready or dispatch.repeats
    never_leased = any(wave.leased < wave.size for wave in rollout.waves if wave.status in OPEN)
    is_busy = rollout.counts.updating or rollout.counts.soaking or starts or never_leased
    if not rollout.is_over and not is_busy and rollout.retry is None:
        assert shown_reason(rollout) is not None, rollout


def reachable[T](state: T, moves: Mapping[T, frozenset[T]]) -> set[T]:
    seen, todo = {state}, [state]
    while todo:
        for move in moves[todo.pop()]:
            if move not in seen:
                seen.add(move)
                todo.append(move)
    return seen
