"""Keep the order of rollouts: earlier ones skip the devices that a new one shares with them.

A new rollout is announced first. It then enters its id in the records of the earlier rollouts that
share devices with it, and is stored last. So no earlier rollout can claim a shared device any more
once the new one exists. Two creations at once find each other: whichever is stored last finds the
other one announced, and the newer one, by its id, supersedes the older one.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.rollout import Rollout
from functions.use_cases import later_rollouts
from functions.use_cases.commit import Change, commit
from functions.use_cases.conflicts import Supersession, count_superseded, find_earlier
from functions.use_cases.services import Services

# How far the clocks of two instances may be apart.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)


def supersede_earlier(
    services: Services, open_ids: Sequence[str], rollout_id: str, device_ids: Collection[str]
) -> Supersession:
    """Enter a rollout in the records of the earlier open rollouts that share devices with it.

    The rollout must be announced, and its history or its target's parts stored, before the ids of
    the open rollouts are listed. Raises LostRaceError, StorageUnavailableError.
    """
    earlier = find_earlier(services, open_ids, rollout_id, device_ids)
    for shared in earlier:
        _store_later(services, shared.snapshot, [rollout_id])
    return count_superseded(services.stores, earlier)


def learn_later(services: Services, snapshot: Snapshot) -> Snapshot:
    """Enter the rollouts that were created meanwhile, but later, in a new rollout's own record."""
    rollout = snapshot.rollout
    since = rollout.definition.created_at - MAX_CLOCK_DIFFERENCE
    ids = services.stores.rollouts.list_later_ids(rollout.id, since)
    return _store_later(services, snapshot, ids)


def take_devices_again(services: Services, snapshot: Snapshot) -> Snapshot:
    """Supersede the earlier rollouts again, after a command has queued devices.

    Also enters the later rollouts that were created since the command found them.
    """
    devices = services.known_devices.read(services.stores, snapshot)
    open_ids = services.stores.rollouts.list_open_ids()
    supersede_earlier(services, open_ids, snapshot.rollout.id, devices)
    return _store_later(services, snapshot, find_later_ids(services, snapshot))


def find_later_ids(services: Services, snapshot: Snapshot) -> Sequence[str]:
    """Return the ids of the later rollouts that have some of a rollout's devices."""
    devices = services.known_devices.read(services.stores, snapshot)
    return list(later_rollouts.find_later(services.stores, snapshot.rollout.id, devices))


def enter_later(rollout: Rollout, ids: Collection[str]) -> Rollout:
    """Enter later rollouts in a rollout's record, so that its queued devices are checked."""
    known = rollout.later
    if not ids or (not known.checked and set(ids) <= set(known.ids)):
        return rollout
    later = LaterRollouts(ids=tuple(sorted({*known.ids, *ids})), checked=False)
    return replace(rollout, later=later)


def _store_later(services: Services, snapshot: Snapshot, ids: Collection[str]) -> Snapshot:
    def decide(_: Moment, stored: Snapshot) -> Change | None:
        rollout = enter_later(stored.rollout, ids)
        return None if rollout is stored.rollout else Change(rollout)

    return commit(services, snapshot, decide) if ids else snapshot
