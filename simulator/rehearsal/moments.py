"""When a rehearsed rollout got its status, and when it waited for the hub's daily quota."""

from typing import NamedTuple

from functions.rollouts.model.rollout import Rollout, RolloutStatus
from simulator.rehearsal.timeline import Timeline


class QuotaWait(NamedTuple):
    """A time in which the rollout waited because the messages of the day were used up."""

    begins: float
    """Virtual seconds since the beginning."""
    ends: float
    """The end of the rehearsal, if the wait lasted until then."""


def status_seconds(rollout: Rollout, timeline: Timeline) -> float:
    """Return when the rollout got its status, in virtual seconds.

    A rehearsal goes on after a pause until the devices under way have ended.
    """
    reason = rollout.status_reason.message if rollout.status_reason else None
    is_paused = rollout.status is RolloutStatus.PAUSED
    began = [
        timeline.seconds_of(event)
        for event in timeline.events
        if (event.action == "paused" if is_paused else event.message == reason)
    ]
    if began and rollout.ended_at is None:
        return began[-1]
    if rollout.ended_at is not None:
        return max(0.0, (rollout.ended_at - timeline.begins).total_seconds())
    return timeline.seconds


def list_quota_waits(timeline: Timeline) -> list[QuotaWait]:
    """Return the waits for the daily quota, oldest first."""
    begins = timeline.begins
    return [
        QuotaWait(
            (wait.since - begins).total_seconds(),
            (wait.until - begins).total_seconds() if wait.until else timeline.seconds,
        )
        for wait in timeline.quota_waits
    ]
