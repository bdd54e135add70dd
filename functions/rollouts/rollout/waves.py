"""Open, complete and fail waves by their counters; with the last of them the rollout ends.

    pending --share of the wave before reached, approved--> running <--> soaking --> completed
                                                            running, soaking --> failed

A wave fails by a breach of its gate, or when too few of its devices have completed once all have
ended (`evidence`).
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.audit_trail import Action
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnBreach
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import (
    breach,
    evidence,
    expiry,
    frozen,
    gate_history,
    joiners,
    status,
    stops,
    waits,
)
from functions.rollouts.rollout.permission import OPEN, opening_obstacle
from functions.rollouts.rollout.start_order import empty_waves


def settle(rollout: Rollout, now: datetime) -> Rollout:
    """Apply all consequences of a rollout's counters and of the time."""
    if rollout.is_over or rollout.resolution is not None:
        return rollout
    judged = gate_history.record(judge(_start(waits.clear(rollout), now), now), now)
    moved = _pause_before_expiry(judged, now)
    for number in range(len(moved.waves)):
        moved = _close(_open(moved, number, now), number, now)
        moved = _stop_without_evidence(moved, number, now)
    moved = _end(_request_approval(moved, now), now)
    return stops.record_shown(waits.show(_show_frozen(moved, now), now))


def judge(rollout: Rollout, now: datetime) -> Rollout:
    """Judge each open wave by its gate, and by how many of its devices have not started.

    Strata come first: a wave is judged without those that are frozen.
    """
    for number in range(len(rollout.stratum_gates)):
        rollout = _judge_stratum(rollout, number, now)
    for number in range(len(rollout.waves)):
        rollout = _judge(rollout, number, now)
    return rollout


def _start(rollout: Rollout, now: datetime) -> Rollout:
    if rollout.status is not RolloutStatus.SCHEDULED:
        return rollout
    if rollout.definition.start_at is not None and rollout.definition.start_at > now:
        return rollout
    started = status.move(rollout, RolloutStatus.RUNNING, started_at=now, status_reason=None)
    return add_event(started, now, "started", _describe_size(rollout))


def _pause_before_expiry(rollout: Rollout, now: datetime) -> Rollout:
    """Pause a rollout whose next devices would find their manifest or link expired."""
    if rollout.status is not RolloutStatus.RUNNING or not rollout.counts.queued:
        return rollout
    reason = expiry.find_reason(rollout, now)
    if reason is None:
        return rollout
    return add_event(stops.add_stop(rollout, reason), now, "paused", reason.message)


def _describe_size(rollout: Rollout) -> str:
    devices, waves = texts.count(rollout.total, "device"), texts.count(len(rollout.waves), "wave")
    empty = empty_waves(rollout.strategy.waves, rollout.waves)
    left_out = f" No device is left for: {', '.join(empty)}." if empty else ""
    return f"{devices} in {waves}.{left_out}"


def _open(rollout: Rollout, number: int, now: datetime) -> Rollout:
    wave = rollout.waves[number]
    if rollout.status is not RolloutStatus.RUNNING or wave.status is not WaveStatus.PENDING:
        return rollout
    if opening_obstacle(rollout, number) is not None:
        return rollout
    opened = _move_wave(rollout, number, WaveStatus.RUNNING, started_at=now)
    opened = replace(opened, status_reason=None)
    if len(rollout.waves) == 1:
        return opened
    return add_event(
        opened,
        now,
        "waveOpened",
        f"{texts.wave_first(wave.name)} with {texts.count(wave.size, 'device')}.",
    )


def _close(rollout: Rollout, number: int, now: datetime) -> Rollout:
    """Move a wave on when its devices only soak, or have all ended."""
    wave = rollout.waves[number]
    counts = wave.counts
    if wave.status is WaveStatus.FAILED and counts.ended == counts.total:
        return _move_wave(rollout, number, WaveStatus.FAILED, ended_at=wave.ended_at or now)
    if wave.status not in OPEN:
        return rollout
    is_busy = counts.queued > frozen.count_frozen_queued(rollout, wave) or counts.updating
    if is_busy or _gets_joiners(rollout, number):
        return _move_wave(rollout, number, WaveStatus.RUNNING)
    if counts.soaking:
        return _move_wave(rollout, number, WaveStatus.SOAKING)
    shortfall = evidence.find_shortfall(rollout, number)
    if shortfall is None or wave.passed:
        closed = _move_wave(rollout, number, WaveStatus.COMPLETED, ended_at=now)
        return _record_wave_end(closed, wave, now)
    return _fail(rollout, number, shortfall, now)


def _gets_joiners(rollout: Rollout, number: int) -> bool:
    return bool(rollout.joining.found) and number == len(rollout.waves) - 1


def _fail(rollout: Rollout, number: int, shortfall: Reason, now: datetime) -> Rollout:
    """Fail a wave with too few completed devices. The last one ends the rollout, see `_end`."""
    failed = _move_wave(rollout, number, WaveStatus.FAILED, ended_at=now)
    if number == len(rollout.waves) - 1 or rollout.status not in breach.JUDGED:
        return failed
    action = (
        OnBreach.PAUSE
        if evidence.lacks_only_not_started(
            rollout, frozen.without_frozen(rollout, rollout.waves[number])
        )
        else None
    )
    return breach.act_on_breach(failed, number, shortfall, now, action)


def _stop_without_evidence(rollout: Rollout, number: int, now: datetime) -> Rollout:
    """Pause if the next wave cannot open, as the evidence is of strata that were frozen later."""
    wave, later = rollout.waves[number], rollout.waves[number + 1 :]
    if rollout.status is not RolloutStatus.RUNNING or not frozen.frozen_strata(rollout):
        return rollout
    if wave.status is not WaveStatus.COMPLETED or wave.passed or not later:
        return rollout
    waiting = sum(item.counts.queued - frozen.count_frozen_queued(rollout, item) for item in later)
    shortfall = evidence.find_shortfall(rollout, number)
    if later[0].status is not WaveStatus.PENDING or not waiting or shortfall is None:
        return rollout
    again = _move_wave(rollout, number, WaveStatus.RUNNING)
    return breach.act_on_breach(again, number, shortfall, now, OnBreach.PAUSE)


def _judge(rollout: Rollout, number: int, now: datetime) -> Rollout:
    wave = frozen.without_frozen(rollout, rollout.waves[number])
    if rollout.status not in breach.JUDGED or wave.status not in OPEN:
        return rollout
    reason = breach.find_breach(rollout, wave)
    if reason is not None:
        stratum = breach.find_only_cause(rollout, number, reason, now)
        if stratum is not None:
            return breach.act_on_stratum_breach(rollout, stratum, reason, now)
        return breach.act_on_breach(rollout, number, reason, now)
    reason = breach.find_not_started(rollout, wave)
    if reason is not None:
        return breach.act_on_breach(rollout, number, reason, now, OnBreach.PAUSE)
    return rollout


def _judge_stratum(rollout: Rollout, number: int, now: datetime) -> Rollout:
    if rollout.status not in breach.JUDGED:
        return rollout
    reason = breach.find_stratum_breach(rollout, number)
    if reason is None:
        return rollout
    return breach.act_on_stratum_breach(rollout, number, reason, now)


def _request_approval(rollout: Rollout, now: datetime) -> Rollout:
    """Record once that an operator's approval is all that is missing."""
    if rollout.status is not RolloutStatus.RUNNING:
        return rollout
    wave = awaiting_approval(rollout)
    if wave is None:
        return rollout
    reason = opening_obstacle(rollout, wave)
    if reason == rollout.status_reason or reason is None:
        return rollout
    return add_event(replace(rollout, status_reason=reason), now, "approvalAsked", reason.message)


def awaiting_approval(rollout: Rollout) -> int | None:
    """Return the number of the wave that only an approval keeps from opening, or None."""
    for number, wave in enumerate(rollout.waves):
        if wave.status is WaveStatus.PENDING:
            reason = opening_obstacle(rollout, number)
            return number if reason is not None and reason.code == "awaitingApproval" else None
    return None


def _end(rollout: Rollout, now: datetime) -> Rollout:
    """End a rollout once all devices have ended. The last wave decides how, unless cancelled."""
    counts = rollout.counts
    is_due = breach.is_rollback_due(rollout) or frozen.has_due_rollback(rollout)
    is_held = is_due or rollout.retry or rollout.joining.found
    if counts.ended < counts.total or is_held:
        return rollout
    no_more = joiners.describe_end(rollout)
    if rollout.status is RolloutStatus.CANCELLED:
        message = f"{_summarize_counts(rollout)}{no_more}"
        return add_event(replace(rollout, ended_at=now), now, "ended", message)
    shortfall = evidence.find_shortfall(rollout, len(rollout.waves) - 1)
    if shortfall is None and (stops.has_failed_wave(rollout) or frozen.waiting_strata(rollout)):
        return rollout  # a gate that was breached needs an operator, even if the share is reached
    end = RolloutStatus.COMPLETED if shortfall is None else RolloutStatus.FAILED
    reason = shortfall or _completion_reason(rollout)
    over = status.move(rollout, end, status_reason=reason, ended_at=now)
    action: Action = "completed" if shortfall is None else "failed"
    return add_event(over, now, action, f"{reason.message}{no_more}")


def _show_frozen(rollout: Rollout, now: datetime) -> Rollout:
    """Say which frozen strata wait. Pause once the devices of all others have ended."""
    if rollout.status is not RolloutStatus.RUNNING:
        return rollout
    reason, shown = frozen.describe_waiting(rollout), rollout.status_reason
    if reason is not None and frozen.is_all_frozen(rollout) and not rollout.retry:
        return add_event(stops.add_stop(rollout, reason), now, "paused", reason.message)
    if shown is None or shown.code == frozen.CODE:
        return rollout if reason == shown else replace(rollout, status_reason=reason)
    return rollout


def _completion_reason(rollout: Rollout) -> Reason:
    return Reason(code="completed", message=_summarize_counts(rollout))


def _summarize_counts(rollout: Rollout) -> str:
    counts = rollout.counts
    parts = [evidence.describe_completed(counts)]
    parts += [
        f"{number} {name}"
        for number, name in (
            (counts.failed, "failed"),
            (counts.cancelled, f"{texts.was(counts.cancelled)} cancelled"),
            (counts.skipped, f"more {texts.was(counts.skipped)} skipped"),
        )
        if number
    ]
    return f"{', '.join(parts)}."


def _record_wave_end(rollout: Rollout, wave: Wave, now: datetime) -> Rollout:
    if len(rollout.waves) == 1:
        return rollout
    counts = wave.counts
    message = f"{texts.wave_first(wave.name)}: {evidence.describe_completed(counts)}."
    return add_event(rollout, now, "waveCompleted", message)


def _move_wave(rollout: Rollout, number: int, to: WaveStatus, **changes: Any) -> Rollout:
    """Move one wave; returns the rollout itself if nothing changes."""
    wave = rollout.waves[number]
    if wave.status is to and not changes:
        return rollout
    moved = status.move_wave(wave, to, **changes)
    return rollout if moved == wave else status.change_wave(rollout, number, moved)
