"""Record changes of device updates in their rollout: counters, start ranks, due times.

A change of device updates is recorded here, and both are stored together. So the counters always
match the stored device updates. The rollout's waves are judged by what is recorded (`waves`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime

from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block, BlockSummary
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.measurements import Measurements
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import COUNTER_OF, Counts, Wave
from functions.rollouts.rollout import outage_chance, ready_devices, start_ranks
from functions.rollouts.rollout.device_counts import failed_to_start, runs_already
from functions.rollouts.rollout.failure_tally import FailureTally
from functions.rollouts.rollout.stratum_ledger import StratumLedger

_COUNTERS = tuple(field.name for field in fields(Counts))
# Devices named in one event.
MAX_NAMED = 10
_GONE = frozenset({SkipReason.DEVICE_REMOVED, SkipReason.DEVICE_DISABLED})
_OWN_FAILURES = frozenset({ErrorCode.REPORTED, ErrorCode.REVERTED})


def record_changes(
    moment: Moment,
    rollout: Rollout,
    before: Mapping[int, Block],
    after: Mapping[int, Block],
    observed: Sequence[int] = (),
) -> tuple[Rollout, Mapping[int, Block]]:
    """Record the changes from `before` to `after`, blocks by number.

    Return the changed rollout, and the blocks with their devices' start ranks. `observed` are
    blocks that were observed; if they did not change, only their due times are recorded. A device
    that has no reason of its own to wait has no due time. The same change therefore marks it as
    ready; otherwise no later tick would find it.
    """
    if not after and not observed:
        return rollout, after
    ledger = _Ledger(rollout)
    summaries = list(rollout.block_summaries)
    for number in observed:
        if number not in after:
            summaries[number] = BlockSummary(
                attention.first_due_at(moment, before[number].updates), summaries[number].revision
            )
    blocks: dict[int, Block] = {}
    for number, changed_block in after.items():
        block = blocks[number] = ledger.record(before.get(number, Block(number, ())), changed_block)
        due_at = attention.first_due_at(moment, block.updates)
        summaries[number] = BlockSummary(due_at, rollout.revision + 1)
        rollout = ready_devices.mark_ready(moment, rollout, block)
    same = tuple(summaries) == rollout.block_summaries
    changed = replace(
        rollout,
        block_summaries=rollout.block_summaries if same else tuple(summaries),
        waves=ledger.waves(),
        stratum_gates=ledger.stratum_gates(),
        failures=ledger.failures.counts(blocks),
        measured=ledger.measurements(rollout.measured),
    )
    return _add_events(changed, ledger, moment.now), blocks


def _name_gone(device_ids: Sequence[str]) -> str:
    names = ", ".join(device_ids[:MAX_NAMED])
    more = f" and {len(device_ids) - MAX_NAMED:,} more" if len(device_ids) > MAX_NAMED else ""
    count = texts.count(len(device_ids), "device")
    return f"{count} skipped, deleted from the hub or disabled in it: {names}{more}."


def _add_events(rollout: Rollout, ledger: "_Ledger", now: datetime) -> Rollout:
    """Tell of devices that are gone, and of failed ones that completed late."""
    if ledger.gone:
        rollout = add_event(rollout, now, "devicesGone", _name_gone(ledger.gone))
    if ledger.completed_late:
        what = texts.count(ledger.completed_late, "device")
        rollout = add_event(rollout, now, "completedLate", f"{what} that had failed.")
    return rollout


class _Ledger:
    """Counters of a rollout while one change is recorded."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._tallies: dict[int, dict[str, int]] = {}
        self._already_running: Counter[int] = Counter()  # what is added, by wave
        self._not_started: Counter[int] = Counter()  # what is added, by wave
        self._sequences: dict[int, GateSequence] = {}  # by wave
        self._strata = StratumLedger(rollout)
        self.failures = FailureTally(rollout.failures)
        self.finished = rollout.measured.finished
        self.finish_seconds = rollout.measured.finish_seconds
        self.invoked = list(rollout.measured.invoked)
        self.first_invoked = list(rollout.measured.first_invoked)
        self.completed_late = 0  # devices that had failed
        self.gone: list[str] = []  # devices that the hub does not know any more, or has disabled

    def record(self, before: Block, after: Block) -> Block:
        """Record the changes of one block. Return it with the start ranks of its devices.

        Devices that joined it are behind those that it had before.
        """
        updates = list(after.updates)
        for new in updates[len(before.updates) :]:
            self._tally(new.wave)[COUNTER_OF[new.state]] += 1
            self._strata.join(new)
        for index, (old, new) in enumerate(zip(before.updates, after.updates, strict=False)):
            if old is not new and old.state is not new.state:
                updates[index] = self._move(old, new)
        return Block(after.number, tuple(updates))

    def _move(self, old: DeviceUpdate, new: DeviceUpdate) -> DeviceUpdate:
        tally = self._tally(old.wave)
        tally[COUNTER_OF[old.state]] -= 1
        tally[COUNTER_OF[new.state]] += 1
        if new.state is DeviceState.SKIPPED and new.skip_reason in _GONE:
            self.gone.append(new.device_id)
        if DeviceState.SKIPPED in {old.state, new.state}:
            self._already_running[old.wave] += runs_already(new) - runs_already(old)
        if new.state is DeviceState.DISPATCHING and _waits_for_first_method(old):
            self._count_connected(new, 1)
        elif old.state is DeviceState.DISPATCHING and _waits_for_first_method(new):
            self._count_connected(old, -1)  # its claim is taken back
        if old.state.in_flight and _has_reported_end(new):
            self._add_duration(new)
        if old.state is DeviceState.FAILED and new.state is DeviceState.COMPLETED:
            self.completed_late += 1
        if DeviceState.FAILED in {old.state, new.state}:
            self._not_started[old.wave] += failed_to_start(new) - failed_to_start(old)
            self.failures.record(old, new)
        sequence = self._sequences.get(old.wave) or self._rollout.waves[old.wave].sequence
        self._sequences[old.wave], ranked = start_ranks.follow(sequence, old, new)
        return self._strata.record(old, ranked)

    def _tally(self, wave: int) -> dict[str, int]:
        tally = self._tallies.get(wave)
        if tally is None:
            counts = self._rollout.waves[wave].counts
            tally = self._tallies[wave] = {name: getattr(counts, name) for name in _COUNTERS}
        return tally

    def waves(self) -> tuple[Wave, ...]:
        return tuple(
            self._change(wave, number) if number in self._tallies else wave
            for number, wave in enumerate(self._rollout.waves)
        )

    def measurements(self, before: Measurements) -> Measurements:
        """Return the measurements with what was recorded."""
        return replace(
            before,
            finished=self.finished,
            finish_seconds=self.finish_seconds,
            invoked=tuple(self.invoked),
            first_invoked=tuple(self.first_invoked),
        )

    def stratum_gates(self) -> tuple[StratumGate, ...]:
        return self._strata.gates()

    def _change(self, wave: Wave, number: int) -> Wave:
        """Apply what was recorded. Acknowledged devices that moved since are so no longer."""
        counts = Counts(**self._tallies[number])
        not_started = wave.not_started + self._not_started[number]
        return replace(
            wave,
            counts=counts,
            already_running=wave.already_running + self._already_running[number],
            sequence=self._sequences.get(number, wave.sequence),
            not_started=not_started,
            strata=self._strata.parts_of(number, wave),
            acknowledged_failed=min(wave.acknowledged_failed, counts.failed),
            acknowledged_not_started=min(wave.acknowledged_not_started, not_started),
        )

    def _count_connected(self, update: DeviceUpdate, devices: int) -> None:
        """Add 1 or -1 to the devices whose connection before their first method is known."""
        is_connected = not update.seen_offline
        for most, counts in (
            (outage_chance.FIRST_INVOKED, self.first_invoked),
            (outage_chance.MAX_INVOKED, self.invoked),
        ):
            _count_up_to(most, counts, update.stratum or 0, devices, is_connected=is_connected)

    def _add_duration(self, update: DeviceUpdate) -> None:
        reported_at = update.history[-1].at
        if update.dispatched_at is not None:
            self.finished += 1
            self.finish_seconds += max(0.0, (reported_at - update.dispatched_at).total_seconds())


def _has_reported_end(update: DeviceUpdate) -> bool:
    """Return whether the device reported its end; a timeout says nothing of its speed."""
    if update.state is DeviceState.FAILED:
        return update.error is not None and update.error.code in _OWN_FAILURES
    return update.state in {DeviceState.SOAKING, DeviceState.COMPLETED}


def _waits_for_first_method(update: DeviceUpdate) -> bool:
    is_first = update.attempt == 1 and update.dispatched_at is None
    return is_first and update.state is DeviceState.QUEUED


def _count_up_to(
    most: int, counts: list[tuple[int, int]], index: int, devices: int, *, is_connected: bool
) -> None:
    """Add `devices` to the pair at `index`, unless `most` are counted there."""
    counts += [(0, 0)] * (index + 1 - len(counts))
    invoked, connected = counts[index]
    if invoked + devices <= most:
        counts[index] = (invoked + devices, connected + devices * is_connected)
