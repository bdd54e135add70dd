"""A freeze of starts in all rollouts, or of the devices that match a condition."""

from dataclasses import dataclass
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.package_uri import hide_secrets

CODE = "frozen"  # of a reason, a warning and an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """The latest freeze. It is kept after its end, so that a rollout can tell old from new.

    A rollout's record holds the freeze that it knows. So a claim that was decided without a freeze
    can no longer be stored once the freeze is entered there.
    """

    revision: int  # grows with each freeze that is set, and with each that is removed
    reason: str  # why, for people; without secrets
    by: str  # the caller's name
    since: datetime  # when it was set
    until: datetime | None = None  # ends by itself then; None: until it is removed
    condition: str | None = None  # the WHERE part of a query; None: all devices are frozen
    ended_at: datetime | None = None  # when it was removed, or found over; None: neither
    ended_by: str | None = None  # the caller who removed it; None: no caller did
    ended_reason: str | None = None  # why it was removed, without secrets; None: not said

    def is_in_force(self, now: datetime) -> bool:
        """Return whether the freeze was not removed and its time is not over."""
        return self.ended_at is None and (self.until is None or now < self.until)

    def freezes_all(self, now: datetime) -> bool:
        """Return whether no device may start, whatever the device."""
        return self.condition is None and self.is_in_force(now)

    def freezes_some(self, now: datetime) -> bool:
        """Return whether the devices that match the condition may not start."""
        return self.condition is not None and self.is_in_force(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFreeze:
    """A request for a freeze, valid as far as the request alone shows."""

    reason: str  # why, for people
    until: datetime | None = None  # None: until it is removed
    condition: str | None = None  # None: all devices
    revision: int | None = None  # of the freeze that the caller has read; None: any


def describe(freeze: Freeze) -> str:
    """Return the sentence that says what is frozen, by whom, until when and why."""
    what, until = "no device starts", "until it is removed"
    if freeze.condition is not None:
        what = f"no device starts that matches {hide_secrets(freeze.condition)}"
    if freeze.until is not None:
        until = f"until {texts.utc_time(freeze.until)}"
    since, reason = texts.utc_time(freeze.since), freeze.reason.rstrip(".")
    return f"Frozen by {freeze.by} since {since}, {until}: {what}. Reason: {reason}."
