"""What the delivery of events needs: its ports, and what a process remembers of webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from functions.dispatch_queue.port import DeliveryQueue
from functions.outbound.port import Outbound
from functions.rollouts.model.webhook import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPorts:
    """How events reach webhooks."""

    queue: DeliveryQueue
    outbound: Outbound
    public_url: str | None = None  # of the API; None: deliveries have no links


@dataclass(slots=True)
class EventFeed:
    """What one process knows of webhooks and of the events that it has queued. Never stored."""

    webhooks: Sequence[Webhook] = ()  # as last read
    # Numbers of events for which deliveries were queued, by the id of an open rollout.
    queued: dict[str, int] = field(default_factory=dict)
    swept_at: datetime | None = None  # None: this process has not ticked yet

    def learn(self, webhooks: Sequence[Webhook]) -> None:
        """Keep the webhooks that receive events."""
        self.webhooks = [item for item in webhooks if item.disabled is None]
