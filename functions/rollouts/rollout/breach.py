"""Find out whether a wave must not go on, and do what the strategy says then.

Devices that never start (not reached, or the method refused) say nothing of the firmware. They have
a limit of their own, which only pauses.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.audit_trail import Action
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnBreach, Share
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import evidence, frozen, gate, status, stops

JUDGED = frozenset({RolloutStatus.RUNNING, RolloutStatus.PAUSED})
"""The statuses in which waves are judged: a pause hides no failure."""

NOT_STARTED = "notStarted"
# Of a stratum, for which it is frozen when its wave is breached. One failure may be anything.
_MIN_OWN_FAILURES = 2
_CANCELLED: Action = "cancelled"


def is_rollback_due(rollout: Rollout) -> bool:
    """Return whether a rollback was decided and is not created yet."""
    return isinstance(rollout.rollback, RollbackDue)


def can_begin_rollback(rollout: Rollout, now: datetime) -> bool:
    """Return whether a rollback is due and need not wait for devices in flight any longer.

    Failures end sooner than successes: many devices complete after a breach, and must be rolled
    back too. The rollback waits for them until their timeout at the latest.
    """
    due = rollout.rollback
    if not isinstance(due, RollbackDue):
        return False
    # Queued devices of a cancelled rollout are followed to the end of an earlier attempt.
    if due.rollback_id is not None or not (rollout.counts.updating or rollout.counts.queued):
        return True
    events = reversed(rollout.audit.events)
    stopped_at = (event.at for event in events if event.action == _CANCELLED)
    since = next(stopped_at, rollout.definition.created_at)
    return since + rollout.strategy.timeout <= now


def find_breach(rollout: Rollout, wave: Wave) -> Reason | None:
    """Return why the gate stops the wave, or None. Acknowledged failures are left out."""
    strategy = rollout.strategy
    name, limits = texts.wave_first(wave.name), gate.limits_of(rollout, wave)
    reason = gate.breach(strategy.failure_gate, limits, name, wave.sequence)
    if reason is None or not wave.sequence.first:
        return reason
    since = (
        f"the resume at {texts.utc_time(wave.acknowledged_at)}"
        if wave.acknowledged_at
        else "a retry"
    )
    message = (
        f"{reason.message} Counted since {since}: the devices in flight then come first, and"
        f" {texts.count(wave.acknowledged_failed, 'failure')} before it"
        f" {texts.to_be(wave.acknowledged_failed)} acknowledged."
    )
    return replace(reason, message=message)


def find_not_started(rollout: Rollout, wave: Wave) -> Reason | None:
    """Return why too many of the wave's devices have not started; None if not too many."""
    limit = rollout.strategy.max_not_started
    allowed = limit.at_least(wave.size) if isinstance(limit, Share) else limit
    found = wave.not_started - wave.acknowledged_not_started
    if found <= max(1, allowed):
        return None
    message = (
        f"{texts.wave_first(wave.name)}: {found} of {texts.count(wave.size, 'device')} were not"
        f" reached, or refused the method; maxNotStarted is {limit}."
        f" This says nothing of the firmware.{_describe_acknowledged(wave)}"
    )
    return Reason(code=NOT_STARTED, message=message)


def _describe_acknowledged(wave: Wave) -> str:
    known = wave.acknowledged_not_started
    if not known:
        return ""
    since = evidence.describe_since(wave)
    return f" {known} more {since} {texts.to_be(known)} acknowledged."


def act_on_breach(
    rollout: Rollout,
    wave_number: int,
    reason: Reason,
    now: datetime,
    action: OnBreach | None = None,
) -> Rollout:
    """Do what `action` says; None: what the strategy says. It applies during a pause, too.

    No further device starts.
    """
    action = action or rollout.strategy.failure_gate.on_breach
    failed = status.move_wave(rollout.waves[wave_number], WaveStatus.FAILED)
    stopped = status.change_wave(rollout, wave_number, failed)
    if action in {OnBreach.PAUSE, OnBreach.FREEZE}:
        event: Action = "waveFailed" if rollout.status is RolloutStatus.PAUSED else "paused"
        return add_event(stops.add_stop(stopped, reason, wave_number), now, event, reason.message)
    return _cancel(stopped, action, reason, now)


def find_stratum_breach(rollout: Rollout, stratum: int) -> Reason | None:
    """Return why the gate stops a stratum, or None; None also if it has stopped already."""
    judged = rollout.stratum_gates[stratum]
    if judged.frozen is not None or any(stop.stratum == stratum for stop in rollout.stops):
        return None
    limits, name = gate.limits_of_strata(rollout), f"Stratum {rollout.strata[stratum]}"
    reason = gate.breach(rollout.strategy.failure_gate, limits, name, judged.sequence)
    if reason is None or judged.acknowledged_at is None:
        return reason
    since = texts.utc_time(judged.acknowledged_at)
    message = f"{reason.message} Counted since its failures were acknowledged at {since}."
    return replace(reason, message=message)


def find_only_cause(rollout: Rollout, number: int, reason: Reason, now: datetime) -> int | None:
    """Return the stratum that is to be frozen for a breach of a wave; None if it is not one alone.

    It has most of the wave's failures, at least two, and without it the wave is not breached.
    """
    if rollout.strategy.failure_gate.on_breach is not OnBreach.FREEZE:
        return None
    wave = rollout.waves[number]
    left = frozen.without_frozen(rollout, wave).sequence
    for stratum, part in enumerate(wave.strata):
        own = len(set(part.failed) & set(left.failed))
        if own < _MIN_OWN_FAILURES or 2 * own <= left.failures:
            continue
        trial = frozen.freeze(rollout, stratum, reason, now)
        if find_breach(trial, frozen.without_frozen(trial, wave)) is None:
            return stratum
    return None


def act_on_stratum_breach(rollout: Rollout, stratum: int, reason: Reason, now: datetime) -> Rollout:
    """Do what the strategy says of a stratum that is breached, also during a pause."""
    action = rollout.strategy.failure_gate.on_breach
    if action is OnBreach.FREEZE:
        return add_event(
            frozen.freeze(rollout, stratum, reason, now), now, "stratumFrozen", reason.message
        )
    if action is OnBreach.PAUSE:
        event: Action = "stratumFailed" if rollout.status is RolloutStatus.PAUSED else "paused"
        stopped = stops.add_stop(rollout, reason, stratum=stratum)
        return add_event(stopped, now, event, reason.message)
    return _cancel(rollout, action, reason, now)


def _cancel(rollout: Rollout, action: OnBreach, reason: Reason, now: datetime) -> Rollout:
    stopped = status.move(rollout, RolloutStatus.CANCELLED, status_reason=reason)
    if action is OnBreach.ROLLBACK:
        stopped = replace(stopped, rollback=RollbackDue())
    return add_event(stopped, now, _CANCELLED, reason.message)
