"""What a rollout does when its gate is breached, or a wave ends below its success share."""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.audit import add_event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnBreach
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import status, stops

JUDGED = frozenset({RolloutStatus.RUNNING, RolloutStatus.PAUSED})
"""The statuses in which waves are judged: a pause hides no failure."""

_CANCELLED = RolloutStatus.CANCELLED.value


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


def act_on_breach(rollout: Rollout, wave_number: int, reason: Reason, now: datetime) -> Rollout:
    """Apply the strategy's `on_breach`, also during a pause. No further device starts."""
    action = rollout.strategy.failure_gate.on_breach
    failed = status.move_wave(rollout.waves[wave_number], WaveStatus.FAILED)
    stopped = status.change_wave(rollout, wave_number, failed)
    if action is OnBreach.PAUSE:
        event = "waveFailed" if rollout.status is RolloutStatus.PAUSED else "paused"
        return add_event(stops.add_stop(stopped, reason, wave_number), now, event, reason.message)
    stopped = status.move(stopped, RolloutStatus.CANCELLED, status_reason=reason)
    if action is OnBreach.ROLLBACK:
        stopped = replace(stopped, rollback=RollbackDue())
    return add_event(stopped, now, _CANCELLED, reason.message)
