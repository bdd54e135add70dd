"""The reason of a rollout's status as people are shown it: with a freeze, and what to do next."""

from dataclasses import replace

from functions.rollouts.model import texts
from functions.rollouts.model.freeze import CODE, describe
from functions.rollouts.model.next_step import next_step
from functions.rollouts.model.reason import SCHEDULED, WAITS, Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# What a running rollout waits for that is shown although an outage lasts.
_BEFORE_OUTAGES = frozenset({"stratumFrozen", "awaitingApproval"})


def shown_reason(rollout: Rollout) -> Reason | None:
    """Return the reason of a rollout's status, with a freeze and with what to do next."""
    reason = _reason_with_freeze(rollout)
    if reason is None:
        return None
    reason = _add_outage(rollout, reason)
    ended = "" if reason.message.endswith(".") else "."
    step = next_step(rollout, reason.code)
    return replace(reason, message=f"{reason.message}{ended} {step}") if step else reason


def scheduled_reason(rollout: Rollout) -> Reason:
    """Return what a rollout waits for that has not started."""
    if rollout.resolution is not None:
        return Reason(code=SCHEDULED, message="The rollout's devices are still being prepared.")
    start_at = rollout.definition.start_at
    start = texts.utc_time(start_at) if start_at else "the next tick"
    return Reason(code=SCHEDULED, message=f"The rollout starts at {start}.")


def _add_outage(rollout: Rollout, reason: Reason) -> Reason:
    """Add the outage that lasts to a reason that needs a person, and so is shown before it."""
    outage = next((item for item in rollout.outages if item.until is None), None)
    is_running = rollout.status is RolloutStatus.RUNNING
    if outage is None or not is_running or reason.code not in _BEFORE_OUTAGES:
        return reason
    return replace(reason, message=f"{reason.message} {outage.message}")


def _reason_with_freeze(rollout: Rollout) -> Reason | None:
    """Return the reason of a rollout's status, with the freeze that the rollout knows.

    A pause keeps its own code, because it needs a person also after the freeze. While only some
    devices are frozen, so does an approval or an outage that a running rollout waits for.
    """
    freeze, reason = rollout.freeze, rollout.status_reason
    if reason is None and rollout.status is RolloutStatus.SCHEDULED:
        reason = scheduled_reason(rollout)
    if rollout.is_over or freeze is None or freeze.ended_at is not None:
        return reason
    if reason is None:
        return Reason(code=CODE, message=describe(freeze))
    is_waiting = rollout.status in {RolloutStatus.RUNNING, RolloutStatus.SCHEDULED}
    goes_on = reason.code in {*WAITS, SCHEDULED}
    if goes_on or (is_waiting and freeze.condition is None):
        return Reason(code=CODE, message=f"{describe(freeze)} {reason.message}")
    return replace(reason, message=f"{reason.message} {describe(freeze)}")
