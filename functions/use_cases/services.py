"""What the use cases work with: the ports, a clock, a source of chance and the hub's quotas."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from functions.dispatch_queue.port import DispatchQueue
from functions.hub_gateway.port import HubGateway
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.device.moment import Moment, moment_of
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.rollouts.model.rollout import Rollout


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`clock` gives aware UTC times, `jitter` numbers in 0..1; `sleep` takes seconds.

    `new_id` makes the id of a rollout that is created then.
    """

    hub: HubGateway
    stores: Stores
    queue: DispatchQueue
    new_id: Callable[[datetime], str]
    limits: Quotas = field(default_factory=lambda: quotas(Tier.S1, 1))
    clock: Callable[[], datetime] = _now
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep

    def moment(self, rollout: Rollout) -> Moment:
        """The rollout at this very moment."""
        return moment_of(rollout, self.clock(), self.jitter)
