"""Add events to a rollout's audit trail, and keep the rollout's own record small."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.audit_trail import Action, Event
from functions.rollouts.model.identity import ITSELF
from functions.rollouts.model.rollout import Rollout


def add_event(
    rollout: Rollout, now: datetime, action: Action, message: str, by: str = ITSELF.name
) -> Rollout:
    """Add an event, the latest."""
    trail = rollout.audit
    event = Event(at=now, action=action, by=by, message=message)
    added = replace(trail, events=(*trail.events, event), event_count=trail.event_count + 1)
    return replace(rollout, audit=added)


def spill_events(rollout: Rollout, max_events: int) -> tuple[Rollout, Sequence[Event]]:
    """Take the oldest `max_events` // 2 events off a rollout that has more than `max_events`.

    Return the rollout and the events taken off, oldest first.
    """
    events = rollout.audit.events
    if len(events) <= max_events:
        return rollout, ()
    first_kept = max_events // 2
    kept = replace(rollout.audit, events=events[first_kept:])
    return replace(rollout, audit=kept), events[:first_kept]
