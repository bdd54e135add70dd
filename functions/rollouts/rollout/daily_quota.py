"""Let rollouts wait when the messages of the day are used up: their share, or the hub's.

    share for starts used up --> devices under way are observed, from messages reserved for them
    share used up            --> nothing is read or sent
    hub refuses (403002)     --> nothing is read or sent

At midnight UTC the rollouts go on by themselves. The wait is an outage of the rollout: it ends no
device's update, and uses up neither an attempt nor a deadline.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from functions.rollouts.device.attention import SOAK_OBSERVATIONS
from functions.rollouts.model import texts
from functions.rollouts.model.outage import DAILY_QUOTA, Outage
from functions.rollouts.model.quotas import REPORTS_PER_UPDATE, Budget, Quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.usage import MessageCosts, Usage
from functions.rollouts.rollout import outages

# The part of the share that must be free for starts to go on within the same day.
RESUME_SHARE = 0.05


class Wait(StrEnum):
    """What a rollout waits for messages with."""

    STARTS = "starts"
    ALL = "all"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLeft:
    """What is left of the day's messages for rollouts, at one moment."""

    left: float  # of the share
    reserved: float  # of these, for devices under way
    refused_until: datetime | None  # None: the hub does not refuse
    costs: MessageCosts

    @property
    def free(self) -> float:
        """Return the messages that no device under way needs."""
        return self.left - self.reserved


def update_cost(rollout: Rollout, costs: MessageCosts) -> float:
    """Return how many messages one device's update is expected to take, soak included."""
    return costs.method + costs.twin + _observation_cost(rollout, costs) + REPORTS_PER_UPDATE


def reserve(rollout: Rollout, costs: MessageCosts) -> float:
    """Return how many messages the devices that are leased or under way will still take."""
    if rollout.is_over:
        return 0.0
    counts = rollout.counts
    leased = sum(len(lease.devices) for lease in rollout.dispatch.leases)
    soak = _observation_cost(rollout, costs) - costs.twin
    return (
        leased * update_cost(rollout, costs)
        + counts.updating * (costs.twin + soak + REPORTS_PER_UPDATE)
        + counts.soaking * soak
    )


def _observation_cost(rollout: Rollout, costs: MessageCosts) -> float:
    """Return what the observations after the method take: of the end, and of the soak."""
    soaks = SOAK_OBSERVATIONS if rollout.strategy.soak else 0
    return (1 + soaks) * costs.twin


def show(rollout: Rollout, day: DayLeft, limits: Quotas, now: datetime) -> Rollout:
    """Begin or end the rollout's wait for the messages of the day."""
    wait = find_wait(rollout, day, limits, now)
    if wait is None:
        return outages.end(rollout, now, DAILY_QUOTA)
    message = _describe(wait, day, limits, now)
    return outages.begin(rollout, now, Outage(code=DAILY_QUOTA, message=message, since=now))


def find_wait(rollout: Rollout, day: DayLeft, limits: Quotas, now: datetime) -> Wait | None:
    """Return what the rollout waits for messages with; None if it does not.

    A wait with the starts ends within the day only when RESUME_SHARE is free, so that it does not
    end and begin again with each device that ends.
    """
    if day.refused_until is not None and now < day.refused_until:
        return Wait.REFUSED
    if day.left <= 0:
        return Wait.ALL
    needed = update_cost(rollout, day.costs)
    if is_waiting(rollout):
        needed = max(needed, RESUME_SHARE * limits.daily_messages)
    has_starts = rollout.counts.queued > 0 and not rollout.dispatch.leases
    return Wait.STARTS if has_starts and day.free < needed else None


def is_waiting(rollout: Rollout) -> bool:
    """Return whether the rollout waits for the messages of the day."""
    return outages.find_open(rollout, DAILY_QUOTA) is not None


def record_refusal(budget: Budget, usage: Usage, limits: Quotas, now: datetime) -> Budget:
    """Record that the hub refused calls because its day is used up, if it did."""
    if not usage.refusals:
        return budget
    until = limits.calls_resume_at(now)
    return replace(budget, refused_until=until, refused_of=limits.messages_a_day)


def _describe(wait: Wait, day: DayLeft, limits: Quotas, now: datetime) -> str:
    """Return a sentence with the numbers of the limits. It stays the same while the wait lasts."""
    if wait is Wait.REFUSED:
        until = texts.utc_time(day.refused_until or limits.day_ends_at(now))
        return (
            f"The hub refuses all calls (403002), also those of devices: its"
            f" {limits.messages_a_day:,.0f} messages of the day are used up. No call is made until"
            f" {until}; then the rollout goes on. No attempt is used up and no deadline runs."
        )
    what = (
        "Devices under way are observed; others start"
        if wait is Wait.STARTS
        else "Nothing is read or started; the rollout goes on"
    )
    return (
        f"Rollouts have used their {limits.daily_messages:,.0f} messages of the day, which is"
        f" {100 * limits.daily_share:g}% of the hub's {limits.messages_a_day:,.0f}. {what} at"
        f" {texts.utc_time(limits.day_ends_at(now))}. No attempt is used up and no deadline runs."
    )
