"""The audit trail: who or what changed the rollout, when and why."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.rollout import Event, Rollout

ITSELF = "rollout"
# The rollout's own record holds its latest events; older ones have records of their own.
KEPT_AT_MOST = 40
SPILLED_AT_ONCE = 20


def noted(rollout: Rollout, now: datetime, action: str, message: str, by: str = ITSELF) -> Rollout:
    """The rollout with one more event, the latest."""
    event = Event(at=now, action=action, by=by, message=message)
    return replace(rollout, events=(*rollout.events, event), event_count=rollout.event_count + 1)


def spilled(rollout: Rollout) -> tuple[Rollout, Sequence[Event]]:
    """The rollout with not too many events, and the oldest that it gives away, if any."""
    if len(rollout.events) <= KEPT_AT_MOST:
        return rollout, ()
    kept = rollout.events[SPILLED_AT_ONCE:]
    return replace(rollout, events=kept), rollout.events[:SPILLED_AT_ONCE]
