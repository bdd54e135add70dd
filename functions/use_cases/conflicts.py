"""Find the open rollouts that a new rollout shares devices with, and what it does about them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from functions.errors import ConflictError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.use_cases import later_rollouts
from functions.use_cases.services import Services

# Rollouts, or devices of one, that a message names.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Shared:
    """An open rollout, and those of its devices that a new rollout has too."""

    snapshot: Snapshot
    devices: frozenset[str]  # as far as its target is resolved

    @property
    def rollout(self) -> Rollout:
        return self.snapshot.rollout


def find_earlier(
    services: Services,
    open_ids: Sequence[str],
    rollout_id: str | None,
    device_ids: Collection[str],
) -> Sequence[Shared]:
    """Find the open rollouts that may share devices with a new one, in the order of `open_ids`.

    `rollout_id` is the new one's id; None: it has none yet. A rollout whose target is still being
    resolved may share devices that are not known yet.
    """
    wanted, found = frozenset(device_ids), []
    for earlier_id in open_ids:
        if rollout_id is not None and earlier_id <= rollout_id:
            continue
        if services.known_devices.has_none_of(earlier_id, wanted):
            continue
        snapshot = services.stores.rollouts.get(earlier_id)
        if snapshot is None or snapshot.rollout.is_over:
            continue
        devices = find_shared(services, snapshot, wanted)
        if devices or snapshot.rollout.resolution is not None:
            found.append(Shared(snapshot, devices))
    return found


def find_shared(services: Services, snapshot: Snapshot, wanted: frozenset[str]) -> frozenset[str]:
    """Return those of the wanted devices that a rollout has, as far as its target is resolved."""
    stores, rollout = services.stores, snapshot.rollout
    if rollout.resolution is not None or len(rollout.block_summaries) == 1:  # read already
        return wanted & services.known_devices.read(stores, snapshot)
    return frozenset(stores.targets.get_block_numbers(rollout.id, wanted))


def find_with_state(
    stores: Stores, shared: Shared, has_state: Callable[[DeviceState], bool]
) -> frozenset[str]:
    """Return the shared devices whose update in the open rollout has such a state.

    The devices of a rollout whose target is being resolved will be queued.
    """
    rollout = shared.rollout
    if rollout.resolution is not None:
        return shared.devices if has_state(DeviceState.QUEUED) else frozenset()
    numbers = {0}
    if len(rollout.block_summaries) > 1:
        numbers = set(stores.targets.get_block_numbers(rollout.id, shared.devices).values())
    blocks = stores.rollouts.get_blocks(shared.snapshot, sorted(numbers)).blocks
    return frozenset(
        update.device_id
        for block in blocks.values()
        for update in block.updates
        if update.device_id in shared.devices and has_state(update.state)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersession:
    """What a new rollout takes from the earlier open ones."""

    devices: int = 0  # devices that are queued in them
    rollout_ids: Sequence[str] = ()  # in which those are queued

    def add_event(self, rollout: Rollout, now: datetime) -> Rollout:
        """Add to the new rollout's audit trail what it takes."""
        return add_event(rollout, now, "supersedes", self.message) if self.devices else rollout

    @property
    def message(self) -> str:
        devices = texts.count(self.devices, "device")
        rollouts = texts.count(len(self.rollout_ids), "earlier rollout")
        names = name_first(self.rollout_ids)
        return f"{devices} queued in {rollouts} will be skipped there: {names}."


def count_superseded(stores: Stores, earlier: Sequence[Shared]) -> Supersession:
    """Count the devices that are queued in the earlier rollouts."""
    queued = {
        shared.rollout.id: find_with_state(
            stores, shared, lambda state: state is DeviceState.QUEUED
        )
        for shared in earlier
        if shared.rollout.counts.queued
    }
    return Supersession(
        devices=len(frozenset[str]().union(*queued.values())),
        rollout_ids=[rollout_id for rollout_id, devices in queued.items() if devices],
    )


def find_updating(stores: Stores, earlier: Sequence[Shared]) -> Mapping[str, frozenset[str]]:
    """Return the devices in flight in the earlier rollouts, by rollout id."""
    found = {
        shared.rollout.id: find_with_state(stores, shared, lambda state: state.in_flight)
        for shared in earlier
        if shared.rollout.counts.updating
    }
    return {rollout_id: devices for rollout_id, devices in found.items() if devices}


def refuse_conflicts(
    services: Services, device_ids: Collection[str], rollout_id: str | None = None
) -> None:
    """Raise ConflictError if other rollouts have not finished with some of the devices.

    `rollout_id` is as for `find_conflicts`.
    """
    conflicts = find_conflicts(services, device_ids, rollout_id)
    if conflicts:
        raise ConflictError(
            _describe_conflicts({key: sorted(devices) for key, devices in conflicts.items()})
        )


def find_conflicts(
    services: Services, device_ids: Collection[str], rollout_id: str | None = None
) -> Mapping[str, frozenset[str]]:
    """Find the devices that other rollouts have not finished with, by rollout id.

    Later rollouts that have reached a device count too. `rollout_id` is the new rollout's id; None:
    it has none yet, and no rollout is later.
    """
    open_ids = services.stores.rollouts.list_open_ids()
    conflicts = {
        shared.rollout.id: find_with_state(services.stores, shared, lambda state: not state.ended)
        for shared in find_earlier(services, open_ids, rollout_id, device_ids)
    }
    if rollout_id is not None:
        later = later_rollouts.find_superseding(services.stores, rollout_id, device_ids)
        for device_id, later_id in later.items():
            conflicts[later_id] = conflicts.get(later_id, frozenset()) | {device_id}
    return {key: devices for key, devices in conflicts.items() if devices}


def _describe_conflicts(conflicts: Mapping[str, Sequence[str]]) -> str:
    devices = texts.count(len(set(chain.from_iterable(conflicts.values()))), "device")
    parts = [
        f"{rollout_id} ({texts.count(len(ids), 'device')}: {name_first(ids)})"
        for rollout_id, ids in conflicts.items()
    ]
    return (
        f"The strategy refuses conflicts, and other rollouts have not finished with {devices}:"
        f" {name_first(parts)}. Wait until these rollouts have ended, cancel them, or set"
        " onConflict to supersede."
    )


def name_first(names: Sequence[str]) -> str:
    """Return up to MAX_NAMED names for a sentence, and the number of the others."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
