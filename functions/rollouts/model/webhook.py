"""Webhooks, how far each has received the events of a rollout, and how deliveries are repeated."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

# Attempts go on for three days, at most 30 minutes apart, so that a receiver that
# comes back receives its events soon after.
FIRST_DELAY = timedelta(seconds=5)
MAX_DELAY = timedelta(minutes=30)
MAX_FAILING = timedelta(days=3)
_MAX_DOUBLINGS = 20  # past MAX_DELAY; keeps the power small
# An earlier secret signs beside its successor for this time, so that receivers can change theirs.
SECRET_OVERLAP = timedelta(days=1)


class WebhookFormat(StrEnum):
    """What the body of a delivery is."""

    CLOUD_EVENTS = "cloudEvents"  # CloudEvents 1.0, structured mode
    TEAMS = "teams"  # a message with an Adaptive Card, for a workflow of Teams
    SLACK = "slack"  # a message for an incoming webhook of Slack


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The last of the deliveries that have failed since the last success."""

    since: datetime  # of the first one
    at: datetime
    event_id: str
    detail: str  # the receiver's status, or why it cannot be reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """Why a webhook receives nothing."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A receiver of audit events."""

    name: str
    url: str = field(repr=False)  # a secret: Slack and Teams have no other
    format: WebhookFormat
    actions: tuple[str, ...] = ()  # of the events that it receives; empty: all
    secret: bytes = field(repr=False)  # signs `v1`
    earlier_secret: bytes | None = field(default=None, repr=False)  # signs too
    earlier_until: datetime | None = None  # when the earlier secret ends
    private_key: bytes = field(repr=False)  # signs `v1a`; 32 bytes, Ed25519
    created_at: datetime  # it receives events from then on
    changed_at: datetime
    disabled: Disabled | None = None  # None: it receives events
    failing: Failing | None = None  # None: the last delivery succeeded

    def wants(self, action: str, at: datetime) -> bool:
        """Return whether the webhook receives an event."""
        return at >= self.created_at and (not self.actions or action in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPosition:
    """How far one webhook has received the events of one rollout."""

    created_at: datetime  # of the webhook; another one with this name starts anew
    next_event: int = 0  # the number of the first event not delivered
    busy_until: datetime | None = None  # a delivery is under way until then; None: none is
    failures: int = 0  # of `next_event`, one after the other
    failing_since: datetime | None = None  # None: the last attempt succeeded
    retry_at: datetime | None = None  # no attempt is made before; None: at once


def event_id(rollout_id: str, number: int) -> str:
    """Return the id of an event, the same in each delivery. `number` is from 0."""
    return f"{rollout_id}-{number}"


def delay_after(failures: int, jitter: float, retry_after: timedelta | None) -> timedelta:
    """Return the time until the next attempt, at least as long as the receiver says.

    `failures` is from 1. `jitter` is from 0 to 1; it shortens a delay by up to a fifth.
    """
    doubled: timedelta = FIRST_DELAY * 2 ** min(failures - 1, _MAX_DOUBLINGS)
    delay: timedelta = min(doubled, MAX_DELAY) * (1 - 0.2 * jitter)
    return max(delay, min(retry_after or timedelta(), 2 * MAX_DELAY))
