"""What a rollout does when its gate is breached, or a wave ends below its success share."""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.audit import add_event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnBreach
from functions.rollouts.model.wave import WaveStatus

_STATUS = {
    OnBreach.PAUSE: RolloutStatus.PAUSED,
    OnBreach.CANCEL: RolloutStatus.CANCELLED,
    OnBreach.ROLLBACK: RolloutStatus.CANCELLED,
}
_CANCELLED = RolloutStatus.CANCELLED.value
_DUE = "due:"


def rollback_is_due(rollout: Rollout) -> bool:
    """Whether a rollback was decided and is not created yet."""
    return rollout.rolled_back_by is not None and rollout.rolled_back_by.startswith(_DUE)


def rollback_may_begin(rollout: Rollout, now: datetime) -> bool:
    """Whether a rollback that is due need not wait for devices that were under way at the breach.

    Failures come sooner than successes, so many a device completes behind a breach, and is to be
    brought back too. Each is waited for no longer than the timeout that it has to finish.
    """
    if not rollback_is_due(rollout):
        return False
    if due_rollback_id(rollout) or not rollout.counts.updating:
        return True
    stopped = (event.at for event in reversed(rollout.audit.events) if event.action == _CANCELLED)
    return next(stopped, rollout.definition.created_at) + rollout.strategy.timeout <= now


def with_rollback_due(rollout: Rollout, rollback_id: str = "") -> Rollout:
    """Decide a rollback; with an id once one is chosen, before it is created."""
    return replace(rollout, rolled_back_by=f"{_DUE}{rollback_id}")


def due_rollback_id(rollout: Rollout) -> str:
    """The id that was chosen for the rollback that is due; empty if none was."""
    return (rollout.rolled_back_by or "").removeprefix(_DUE)


def act_on_breach(rollout: Rollout, wave_number: int, reason: Reason, now: datetime) -> Rollout:
    """Do what the strategy says of a breach: nothing more starts from here on."""
    action = rollout.strategy.failure_gate.on_breach
    waves = list(rollout.waves)
    waves[wave_number] = replace(waves[wave_number], status=WaveStatus.FAILED)
    stopped = replace(
        rollout,
        status=_STATUS[action],
        status_reason=reason,
        waves=tuple(waves),
    )
    if action is OnBreach.ROLLBACK:
        stopped = with_rollback_due(stopped)
    return add_event(stopped, now, _STATUS[action].value, reason.message)
