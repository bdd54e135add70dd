"""The audit trail: who or what changed the rollout, when and why."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.rollout import Event, Rollout

ITSELF = "rollout"


def noted(rollout: Rollout, now: datetime, action: str, message: str, by: str = ITSELF) -> Rollout:
    """The rollout with one more event, the latest."""
    event = Event(at=now, action=action, by=by, message=message)
    return replace(rollout, events=(*rollout.events, event), event_count=rollout.event_count + 1)


def spill_events(rollout: Rollout, max_events: int) -> tuple[Rollout, Sequence[Event]]:
    """Take the oldest `max_events` // 2 events off a rollout that has more than `max_events`.

    Return the rollout and the events taken off, oldest first.
    """
    if len(rollout.events) <= max_events:
        return rollout, ()
    first_kept = max_events // 2
    return replace(rollout, events=rollout.events[first_kept:]), rollout.events[:first_kept]
