"""A store in memory: the port's promises without Azure, held to the same tests as the real one."""

import copy
from collections.abc import Sequence
from itertools import count

from functions.rollouts.model import DeviceState, DeviceUpdate, Rollout, RolloutStatus

from functions.errors import LostRaceError
from functions.rollout_store.port import Hold, KeyUse, Page, Stored


class MemoryStore:
    def __init__(self) -> None:
        self._numbers = count(1)
        self._rollouts: dict[str, Stored[Rollout]] = {}
        self._updates: dict[tuple[str, str], Stored[DeviceUpdate]] = {}
        self._keys: dict[str, Stored[KeyUse]] = {}
        self._holds: dict[str, Stored[Hold]] = {}

    def add_updates(
        self, rollout_id: str, updates: Sequence[DeviceUpdate]
    ) -> Sequence[Stored[DeviceUpdate]]:
        stored = [Stored(update, self._version()) for update in updates]
        for item in stored:
            self._updates[rollout_id, item.record.device_id] = item
        return stored

    def add_rollout(self, rollout: Rollout) -> None:
        if rollout.id in self._rollouts:
            raise LostRaceError("exists")
        self._rollouts[rollout.id] = Stored(rollout, self._version())

    def rollout(self, rollout_id: str) -> Stored[Rollout] | None:
        return self._rollouts.get(rollout_id)

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        found = [item.record for _, item in sorted(self._rollouts.items())]
        return _page([(r.id, r) for r in found if status in {None, r.status}], limit, cursor)

    def open_rollout_ids(self) -> Sequence[str]:
        found = [item.record for _, item in sorted(self._rollouts.items())]
        return [rollout.id for rollout in found if not rollout.status.ended]

    def save_rollout(self, rollout: Stored[Rollout]) -> None:
        self._check(self._rollouts.get(rollout.record.id), rollout.version)
        self._rollouts[rollout.record.id] = Stored(rollout.record, self._version())

    def update(self, rollout_id: str, device_id: str) -> Stored[DeviceUpdate] | None:
        return self._updates.get((rollout_id, device_id))

    def updates(self, rollout_id: str) -> Sequence[Stored[DeviceUpdate]]:
        return [item for (owner, _), item in sorted(self._updates.items()) if owner == rollout_id]

    def updates_page(
        self, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        found = [item.record for item in self.updates(rollout_id)]
        return _page([(u.device_id, u) for u in found if state in {None, u.state}], limit, cursor)

    def states(self, rollout_id: str) -> Sequence[DeviceState]:
        return [item.record.state for item in self.updates(rollout_id)]

    def save_updates(
        self, rollout_id: str, updates: Sequence[Stored[DeviceUpdate]]
    ) -> Sequence[Stored[DeviceUpdate] | None]:
        return [self._save_update(rollout_id, item) for item in updates]

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        found = [
            (owner, (self._rollouts[owner].record, item.record))
            for (owner, device), item in sorted(self._updates.items())
            if device == device_id and owner in self._rollouts
        ]
        return _page(found, limit, cursor)

    def hold(self, device_id: str) -> Stored[Hold] | None:
        return self._holds.get(device_id)

    def add_hold(self, device_id: str, hold: Hold) -> None:
        if device_id in self._holds:
            raise LostRaceError("held")
        self._holds[device_id] = Stored(hold, self._version())

    def save_hold(self, device_id: str, hold: Stored[Hold]) -> None:
        self._check(self._holds.get(device_id), hold.version)
        self._holds[device_id] = Stored(hold.record, self._version())

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        return self._keys.get(key)

    def use_key(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        if key in self._keys:
            raise LostRaceError("used")
        self._keys[key] = Stored(use, self._version())
        return self._keys[key]

    def save_key(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        self._check(self._keys.get(key), use.version)
        self._keys[key] = Stored(use.record, self._version())
        return self._keys[key]

    def release_key(self, key: str, use: Stored[KeyUse]) -> None:
        self._check(self._keys.get(key), use.version)
        del self._keys[key]

    def ping(self) -> None:
        return None

    def _save_update(
        self, rollout_id: str, item: Stored[DeviceUpdate]
    ) -> Stored[DeviceUpdate] | None:
        key = (rollout_id, item.record.device_id)
        try:
            self._check(self._updates.get(key), item.version)
        except LostRaceError:
            return None
        self._updates[key] = Stored(copy.deepcopy(item.record), self._version())
        return self._updates[key]

    def _check[T](self, current: Stored[T] | None, version: str) -> None:
        if current is None or current.version != version:
            raise LostRaceError("changed")

    def _version(self) -> str:
        return str(next(self._numbers))


def _page[T](items: Sequence[tuple[str, T]], limit: int, cursor: str | None) -> Page[T]:
    after = [(key, item) for key, item in items if cursor is None or key > cursor]
    more = after[limit - 1][0] if len(after) > limit else None
    return Page([item for _, item in after[:limit]], more)
