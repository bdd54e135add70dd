"""What the use cases work with: the two ports, a clock and a source of chance."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from functions.hub_gateway.port import HubGateway
from functions.rollout_store.port import RolloutStore
from functions.rollouts.engine import Engine
from functions.rollouts.model import Rollout


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`clock` gives aware UTC times, `jitter` numbers in 0..1."""

    hub: HubGateway
    store: RolloutStore
    clock: Callable[[], datetime] = _now
    jitter: Callable[[], float] = random.random

    def engine(self, rollout: Rollout) -> Engine:
        """The engine for `rollout` at this very moment."""
        return Engine(rollout=rollout, now=self.clock(), jitter=self.jitter)
