"""Say whether other rollouts had devices of a new one so lately that queries may be behind.

A query's result may be minutes old. What a device ran before an update is then wrong, if another
rollout has just updated it. Rollouts that are created later take devices away instead, so this is
decided once.
"""

from collections.abc import Sequence
from datetime import timedelta

from functions.use_cases.conflicts import find_shared
from functions.use_cases.services import Services
from functions.use_cases.target_devices import FoundDevices

# Longer than any delay of the hub's queries that was seen; the hub states no limit.
MAX_QUERY_LAG = timedelta(minutes=15)


def needs_fresh_twins(
    services: Services, open_ids: Sequence[str], rollout_id: str, found: FoundDevices
) -> bool:
    """Return whether the twins of a new rollout's devices must be read singly before its methods.

    A rollout whose devices are not all known yet may share some with any other.
    """
    store, wanted = services.stores.rollouts, frozenset(item.device_id for item in found.devices)
    ended_ids = store.list_ended_ids(services.clock() - MAX_QUERY_LAG)
    for other_id in sorted({*open_ids, *ended_ids}):
        if other_id == rollout_id:
            continue
        if found.complete and services.known_devices.has_none_of(other_id, wanted):
            continue
        snapshot = store.get(other_id)
        if snapshot is None:  # it is being created: whichever of the two is newer takes the devices
            continue
        is_open_target = not found.complete or snapshot.rollout.resolution is not None
        if is_open_target or find_shared(services, snapshot, wanted):
            return True
    return False
