"""Carry out an operator's commands for strata: resume, cancel, roll back. The others go on.

| command | what follows |
| --- | --- |
| resume | the frozen strata go on; their failures that were shown are acknowledged |
| cancel | queued devices of the strata are cancelled; their devices in flight go on |
| roll back | the same, and a rollout undoes their devices |
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.audit import add_event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import frozen, status, stops
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError, require


def resume_strata(
    rollout: Rollout,
    now: datetime,
    caller: Caller,
    strata: Collection[int],
    revision: int | None = None,
) -> Rollout:
    """Let frozen strata go on. Raises NotAllowedError, as all commands do."""
    require(rollout, "resume of strata", RolloutStatus.RUNNING, RolloutStatus.PAUSED)
    for number in sorted(strata):
        _check_can_resume(rollout, number, revision)
        freeze = rollout.stratum_gates[number].frozen
        shown = stops.find_shown(freeze.shown if freeze else (), revision)
        rollout = frozen.acknowledge_stratum(rollout, number, now, shown)
    message = caller.message(f"Resumed by {caller.name}: {frozen.names_of(rollout, strata)}")
    return add_event(_go_on(rollout), now, "stratumResumed", message, caller.name)


def cancel_strata(
    rollout: Rollout, now: datetime, caller: Caller, strata: Collection[int]
) -> Rollout:
    """Freeze strata and cancel their queued devices."""
    require(rollout, "cancel of strata", RolloutStatus.RUNNING, RolloutStatus.PAUSED)
    message = caller.message(f"Cancelled by {caller.name}: {frozen.names_of(rollout, strata)}")
    stopped = _cancel(rollout, now, strata, message)
    return add_event(_go_on(stopped), now, "stratumCancelled", message, caller.name)


def roll_back_strata(
    rollout: Rollout, now: datetime, caller: Caller, strata: Collection[int], rollback_id: str
) -> Rollout:
    """Decide the rollback of strata, under an id chosen before, and cancel their queued devices."""
    if rollout.rollback is not None:
        raise NotAllowedError("The whole rollout is being rolled back, or was.")
    message = caller.message(f"Rolled back by {caller.name}: {frozen.names_of(rollout, strata)}")
    changed = _cancel(rollout, now, strata, message)
    for number in strata:
        changed = set_rollback(changed, number, RollbackDue(rollback_id))
    return add_event(_go_on(changed), now, "stratumRolledBack", message, caller.name)


def set_rollback(
    rollout: Rollout, stratum: int, rollback: RollbackDue | RolledBack | None
) -> Rollout:
    """Set what undoes a frozen stratum."""
    gate = rollout.stratum_gates[stratum]
    if gate.frozen is None:
        return rollout
    changed = replace(gate, frozen=replace(gate.frozen, rollback=rollback))
    return frozen.change_gate(rollout, stratum, changed)


def _check_can_resume(rollout: Rollout, stratum: int, revision: int | None) -> None:
    name, freeze = rollout.strata[stratum], rollout.stratum_gates[stratum].frozen
    if freeze is None:
        raise NotAllowedError(f"Stratum {name} is not frozen; its devices go on.")
    if freeze.rollback is not None:
        raise NotAllowedError(
            f"Stratum {name} was rolled back, and a resume would send firmware"
            f" {rollout.firmware.version} again. Create a new rollout for its devices."
        )
    if revision is not None and not freeze.revision <= revision <= rollout.revision:
        raise NotAllowedError(
            f"Stratum {name} was frozen with revision {freeze.revision}, and the rollout's revision"
            f" is {rollout.revision}; revision {revision} does not show that. Read the rollout"
            " again."
        )


def _cancel(rollout: Rollout, now: datetime, strata: Collection[int], message: str) -> Rollout:
    for number in sorted(strata):
        reason = Reason(code="stratumCancelled", message=message)
        rollout = frozen.freeze(rollout, number, reason, now)
        gate = rollout.stratum_gates[number]
        if gate.frozen is not None:
            cancelled = replace(gate, frozen=replace(gate.frozen, is_cancelled=True))
            rollout = frozen.change_gate(rollout, number, cancelled)
    return rollout


def _go_on(rollout: Rollout) -> Rollout:
    """Take away the pause and the reason for frozen strata; what still waits sets them again."""
    reason = rollout.status_reason
    if reason is not None and reason.code == frozen.CODE:
        rollout = replace(rollout, status_reason=None)
    if rollout.status is not RolloutStatus.PAUSED:
        return rollout
    rollout = frozen.without_frozen_stops(rollout)
    if not rollout.stops:
        return status.move(rollout, RolloutStatus.RUNNING, status_reason=None)
    return replace(rollout, status_reason=rollout.status_reason or rollout.stops[-1].reason)
