"""Read the control groups of devices that are about to fail as unreachable.

It costs one projected query, two with strata, and a few blocks, only in a tick in which such a
failure is about to be recorded, and once per minute while an outage lasts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from functions.hub_gateway.port import HubGateway
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.device.deadlines import has_come, timeout_at
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BLOCK_SIZE, Block
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT, RECHECK
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import control_group, outages
from functions.rollouts.rollout.outage_chance import MIN_SIZE, Control
from functions.use_cases.hub_watch import HubWatch
from functions.use_cases.observe import Observations, apply_observations
from functions.use_cases.services import Services

# Blocks that are read for devices that are queued, and for those that completed long ago.
MAX_BLOCKS = 4
# Strata that one query compares, each with a group of its own.
MAX_COMPARED = QUERY_ROWS // MIN_SIZE


def compare(
    services: Services,
    snapshot: Snapshot,
    due: Sequence[int],
    observations: Observations,
    hub: HubWatch,
) -> Sequence[Control]:
    """Compare devices of the due blocks that are about to fail as unreachable.

    Each stratum is compared once per tick. Raises HubUnavailableError, StorageUnavailableError.
    """
    moment = services.moment(snapshot.rollout)
    strata = _find_strata(moment, [snapshot.blocks[number] for number in due], observations)
    new = [stratum for stratum in strata if hub.compare_once(snapshot.rollout.id, stratum)]
    return read(services.hub, services.stores.rollouts, snapshot, new, moment.now)


def _find_strata(
    moment: Moment, blocks: Iterable[Block], observations: Observations
) -> Sequence[int | None]:
    """Return the strata to compare: of devices that `observations` would fail, and of outages.

    Outages are compared together, so that a stratum that is away does not count as a part of the
    fleet. If there are many, those that were compared last wait for a later tick.
    """
    known = outages.list_open(moment.rollout, AMBIENT)
    known = sorted(known, key=lambda item: item.checked_at or item.since)
    is_open = {item.stratum for item in known}
    is_due = any(
        item.checked_at is None or item.checked_at + RECHECK <= moment.now for item in known
    )
    new: set[int | None] = set()
    observe = partial(apply_observations, moment, observations=observations)
    for block in blocks:
        indexes = [
            index
            for index in observations.find_read(block.updates)
            if _may_be_given_up(moment, block.updates[index])
        ]
        if indexes:
            changed = block.apply(observe, indexes)
            new |= control_group.find_suspects(block, changed) - is_open
    room = max(0, MAX_COMPARED - len(new)) if new or is_due else 0
    found = {*new, *[item.stratum for item in known[:room]]}
    return sorted(found, key=lambda stratum: -1 if stratum is None else stratum)


def read(
    hub: HubGateway,
    store: RolloutStore,
    snapshot: Snapshot,
    strata: Sequence[int | None],
    now: datetime,
) -> Sequence[Control]:
    """Query the connections of the control groups of these strata, at most QUERY_ROWS devices.

    With strata, as many devices of all strata are compared, too. Raises HubUnavailableError,
    StorageUnavailableError.
    """
    if not strata:
        return ()
    numbers = _choose_blocks(snapshot.rollout)
    blocks = store.get_blocks(snapshot, numbers).blocks
    found = [blocks[number] for number in numbers]
    groups = control_group.choose(found, strata, now, QUERY_ROWS)
    has_own = any(item is not None and not groups[item].of_all for item in strata)
    fleet = control_group.choose_of_all(found, now, QUERY_ROWS) if has_own else ()
    own_ids = {device_id for group in groups.values() for device_id in group.device_ids}
    ids = sorted(own_ids | {item.device_id for item in fleet})
    connected = hub.query_connections(ids) if ids else {}
    controls = [_measure(stratum, group, connected) for stratum, group in groups.items()]
    return _add_fleet(snapshot.rollout, controls, fleet, connected)


def _add_fleet(
    rollout: Rollout,
    controls: Sequence[Control],
    fleet: Sequence[DeviceUpdate],
    connected: Mapping[str, bool],
) -> Sequence[Control]:
    """Add devices of all strata to compare with, but for strata that are away as a whole."""
    if not fleet:
        return controls
    away = {item.stratum for item in controls if control_group.is_away(rollout, item)}
    ids = [item.device_id for item in fleet if item.stratum not in away]
    measured = _measure(None, control_group.Group(ids, of_all=True), connected)
    return [item if item.of_all else replace(item, fleet=measured) for item in controls]


def _may_be_given_up(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether the next observation may fail the update as unreachable."""
    if update.dark_since is not None or update.waiting_since is not None:
        return not update.state.ended
    return has_come(moment, timeout_at(moment, update))


def _measure(
    stratum: int | None, group: control_group.Group, connected: Mapping[str, bool]
) -> Control:
    known = [connected[device_id] for device_id in group.device_ids if device_id in connected]
    return Control(stratum, len(known), sum(known), group.of_all)


def _choose_blocks(rollout: Rollout) -> Sequence[int]:
    """Return the last blocks with devices that were never leased, and the first ones of all."""
    fresh: list[int] = []
    for wave in reversed(rollout.waves):
        first, end = wave.first + wave.leased, wave.first + wave.size
        numbers = range((end - 1) // BLOCK_SIZE, first // BLOCK_SIZE - 1, -1) if first < end else ()
        fresh += [number for number in numbers if number not in fresh]
        if len(fresh) >= MAX_BLOCKS:
            break
    first_blocks = range(min(MAX_BLOCKS, len(rollout.block_summaries)))
    return sorted({*fresh[:MAX_BLOCKS], *first_blocks})
