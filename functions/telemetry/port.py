"""Say what the app tells its telemetry. Without a destination, nothing is done."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quotas import Budget, Quotas
from functions.rollouts.model.rollout import Rollout


class Telemetry(Protocol):
    """Measure what happens. No method raises, or waits for the network. Threads may share it."""

    def invocation(self, name: str, trigger: str) -> AbstractContextManager[None]:
        """Trace what one call of an Azure function does to rollouts, until the block ends.

        `trigger` is one of OpenTelemetry's values of `faas.trigger`: http, timer, pubsub.
        """

    def tick(self) -> AbstractContextManager[None]:
        """Measure one tick, until the block ends."""

    def record_open(self, rollout_ids: Collection[str]) -> None:
        """Record which rollouts a tick advances."""

    def record_read(self, rollout: Rollout) -> None:
        """Record an open rollout as a tick has read it."""

    def record_change(
        self, before: Rollout | None, after: Rollout, events: Sequence[Event]
    ) -> None:
        """Record a stored change, with its audit events. `before` is None for a new rollout."""

    def record_updates(
        self, rollout: Rollout, before: Mapping[int, Block], after: Mapping[int, Block]
    ) -> None:
        """Record stored changes of device updates: the changed blocks and those before, by number.

        A device that has just joined is in none of the blocks before.
        """

    def record_started(self, rollout: Rollout, updates: Collection[DeviceUpdate]) -> None:
        """Record that the methods of these device updates were sent."""

    def record_budget(self, budget: Budget, limits: Quotas) -> None:
        """Record what a tick leaves of the budget."""

    def count_lost_race(self) -> None:
        """Count a write of a rollout that another write preceded."""

    def count_throttled(self) -> None:
        """Count a call that the hub refused with 429."""


class NoTelemetry:
    """Do nothing."""

    def invocation(self, name: str, trigger: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def tick(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record_open(self, rollout_ids: Collection[str]) -> None: ...

    def record_read(self, rollout: Rollout) -> None: ...

    def record_change(
        self, before: Rollout | None, after: Rollout, events: Sequence[Event]
    ) -> None: ...

    def record_updates(
        self, rollout: Rollout, before: Mapping[int, Block], after: Mapping[int, Block]
    ) -> None: ...

    def record_started(self, rollout: Rollout, updates: Collection[DeviceUpdate]) -> None: ...

    def record_budget(self, budget: Budget, limits: Quotas) -> None: ...

    def count_lost_race(self) -> None: ...

    def count_throttled(self) -> None: ...


NO_TELEMETRY: Telemetry = NoTelemetry()
