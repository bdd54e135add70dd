"""Find and remove ended rollouts in memory."""

from collections.abc import Callable, Iterator
from datetime import datetime

from functions.rollout_store.ports.retention import EndedRollout, TickWork
from functions.rollout_store.ports.rollouts import Snapshot
from simulator.rehearsal.memory_rollouts import MemoryRolloutStore
from simulator.rehearsal.memory_targets import MemoryTargetStore

MAX_EXPIRED = 50  # ended rollouts that one tick reads


class MemoryRetentionStore:
    """Implement `functions.rollout_store.ports.retention.RetentionStore`."""

    def __init__(
        self,
        rollouts: MemoryRolloutStore,
        targets: MemoryTargetStore,
        remove_key: Callable[[str], None],
    ) -> None:
        self._rollouts = rollouts
        self._targets = targets
        self._remove_key = remove_key  # removes the idempotency key of a rollout, by its id

    def list_work(self, ended_before: datetime | None) -> TickWork:
        ended = self._rollouts.list_ended(ended_before) if ended_before else ()
        expired = [EndedRollout(key, key) for key in ended[:MAX_EXPIRED]]
        return TickWork(open_ids=self._rollouts.list_open_ids(), expired=expired)

    def has_earlier(self, rollout_id: str) -> bool:
        return self._rollouts.has_earlier(rollout_id)

    def postpone(self, ended: EndedRollout, listed_at: datetime) -> None:
        self._rollouts.postpone(ended.id, listed_at)

    def abandon(self, rollout_id: str, before: datetime) -> None:
        self._rollouts.abandon(rollout_id, before)

    def forget(self, ended: EndedRollout) -> None:
        self._rollouts.forget(ended.id)

    def remove(self, ended: EndedRollout, snapshot: Snapshot | None) -> Iterator[None]:
        if snapshot is not None:
            self._rollouts.remove(snapshot)
            yield
        self._targets.remove_parts(ended.id)
        self._rollouts.remove_history(ended.id)
        self._remove_key(ended.id)
        self._rollouts.forget(ended.id)
