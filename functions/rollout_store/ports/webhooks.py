"""The ports for webhooks, for delivery positions, and for what all rollouts share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from functions.rollout_store.ports.records import Stored
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.webhook import DeliveryPosition, Webhook


@dataclass(frozen=True, slots=True)
class Controls:
    """What all rollouts share."""

    budget: Stored[Budget] | None = None  # None before the first tick
    freeze: Freeze | None = None  # the latest, in force or not
    webhooks: Sequence[Webhook] = ()  # in the order of their names


class WebhookStore(Protocol):
    """Store webhooks by name, and how far each has received the events of each rollout."""

    def read_controls(self) -> Controls:
        """Read the budget, the latest freeze and all webhooks in one request."""

    def get(self, name: str) -> Stored[Webhook] | None:
        """Read one webhook, or return None if none has this name."""

    def save(self, webhook: Webhook, version: str | None) -> str:
        """Replace the webhook that has `version`; with None, create it. Return the new version.

        Raises LostRaceError if the webhook has another version, or exists already.
        """

    def delete(self, name: str, version: str) -> None:
        """Delete the webhook that has `version`. Raises LostRaceError."""

    def get_position(self, rollout_id: str, name: str) -> Stored[DeliveryPosition] | None:
        """Read how far a webhook has received the events of a rollout; None: nothing yet."""

    def save_position(
        self, rollout_id: str, name: str, position: DeliveryPosition, version: str | None
    ) -> str:
        """Replace the position that has `version`; with None, create it. Return the new version.

        Raises LostRaceError if the position has another version, or exists already.
        """
