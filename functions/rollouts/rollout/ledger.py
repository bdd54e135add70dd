"""Record changes of device updates in their rollout: counters, verdicts of gates, due times.

A change of device updates is recorded here, and both are stored together. So the counters always
match the stored device updates, and the gate judges each failure.
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
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, counter_of
from functions.rollouts.rollout import breach, gate, starts

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
) -> Rollout:
    """Record the changes from `before` to `after`, blocks by number.

    `observed` are blocks that were observed; if they did not change, only their due times are
    recorded. A device that has no reason of its own to wait has no due time. The same change
    therefore marks it as ready; otherwise no later tick would find it.
    """
    if not after and not observed:
        return rollout
    ledger = _Ledger(rollout)
    summaries = list(rollout.block_summaries)
    for number in observed:
        if number not in after:
            summaries[number] = BlockSummary(
                _due_at(moment, before[number]), summaries[number].revision
            )
    for number, block in after.items():
        for old, new in zip(before[number].updates, block.updates, strict=True):
            if old is not new:
                ledger.move(old, new)
        summaries[number] = BlockSummary(_due_at(moment, block), rollout.revision + 1)
        rollout = starts.mark_ready(moment, rollout, block)
    same = all(new == old for new, old in zip(summaries, rollout.block_summaries, strict=True))
    changed = replace(
        rollout,
        block_summaries=rollout.block_summaries if same else tuple(summaries),
        waves=ledger.waves(),
        measured=replace(
            rollout.measured, finished=ledger.finished, finish_seconds=ledger.finish_seconds
        ),
    )
    changed = _add_events(changed, ledger, moment.now)
    for wave_number, reason in ledger.breached.items():
        if changed.status in breach.JUDGED:
            changed = breach.act_on_breach(changed, wave_number, reason, moment.now)
    return changed


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


def _due_at(moment: Moment, block: Block) -> datetime | None:
    times = [attention.due_at(moment, update) for update in block.updates]
    return min((time for time in times if time is not None), default=None)


class _Ledger:
    """Counters of a rollout while one change is recorded."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._tallies: dict[int, dict[str, int]] = {}
        self._already_running: Counter[int] = Counter()  # what is added, by wave
        self.finished = rollout.measured.finished
        self.finish_seconds = rollout.measured.finish_seconds
        self.completed_late = 0  # devices that had failed
        self.breached: dict[int, Reason] = {}  # by wave
        self.gone: list[str] = []  # devices that the hub does not know any more, or has disabled

    def move(self, old: DeviceUpdate, new: DeviceUpdate) -> None:
        if old.state is new.state:
            return
        tally = self._tallies.get(old.wave)
        if tally is None:
            counts = self._rollout.waves[old.wave].counts
            tally = {name: getattr(counts, name) for name in _COUNTERS}
            self._tallies[old.wave] = tally
        tally[counter_of(old.state)] -= 1
        tally[counter_of(new.state)] += 1
        if new.state is DeviceState.SKIPPED and new.skip_reason in _GONE:
            self.gone.append(new.device_id)
        self._already_running[old.wave] += _runs_already(new) - _runs_already(old)
        if old.state.in_flight and _has_reported_end(new):
            self._add_duration(new)
        if old.state is DeviceState.FAILED and new.state is DeviceState.COMPLETED:
            self.completed_late += 1
        if new.state is DeviceState.FAILED and old.wave not in self.breached:
            self._judge(old.wave, Counts(**tally))

    def _judge(self, number: int, counts: Counts) -> None:
        """Judge a wave after a failure; one that has failed waits for its operator."""
        wave = self._rollout.waves[number]
        if wave.status is WaveStatus.FAILED:
            return
        reason = gate_reason(self._rollout, wave, counts)
        if reason is not None:
            self.breached[number] = reason

    def waves(self) -> tuple[Wave, ...]:
        return tuple(
            _with_counts(wave, Counts(**self._tallies[number]), self._already_running[number])
            if number in self._tallies
            else wave
            for number, wave in enumerate(self._rollout.waves)
        )

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


def _runs_already(update: DeviceUpdate) -> bool:
    """Return whether the update is skipped because its device ran the version before."""
    is_skipped = update.state is DeviceState.SKIPPED
    return is_skipped and update.skip_reason is SkipReason.ALREADY_RUNNING


def _with_counts(wave: Wave, counts: Counts, more_already_running: int) -> Wave:
    """Set a wave's counts. Acknowledged devices that moved since are so no longer."""
    return replace(
        wave,
        counts=counts,
        already_running=wave.already_running + more_already_running,
        acknowledged_failed=min(wave.acknowledged_failed, counts.failed),
        acknowledged_healthy=min(wave.acknowledged_healthy, counts.healthy),
    )


def gate_reason(rollout: Rollout, wave: Wave, counts: Counts) -> Reason | None:
    """Return why the wave's gate is breached, or None. Acknowledged devices are left out."""
    reason = gate.breach(
        rollout.strategy.failure_gate,
        wave.name,
        max(0, counts.failed - wave.acknowledged_failed),
        max(0, counts.healthy - wave.acknowledged_healthy),
    )
    known = wave.acknowledged_failed + wave.acknowledged_healthy
    if reason is None or not known:
        return reason
    since = f"at {texts.utc_time(wave.acknowledged_at)}" if wave.acknowledged_at else "of a retry"
    message = (
        f"{reason.message} Counted since the acknowledgement {since}: of the"
        f" {texts.count(known, 'device')} that had finished before it, {wave.acknowledged_failed}"
        " failed and are acknowledged."
    )
    return replace(reason, message=message)
