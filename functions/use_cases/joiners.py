"""Search for late joiners of a rollout, and let them join, tick by tick.

    page queried --found devices stored--> history written --earlier rollouts told--> blocks written

The devices are stored in the rollout's record first. Whatever a crash or another tick leaves
undone, the next tick therefore does for the same devices. As at a rollout's creation, their
history is stored and the earlier rollouts know of them before any of them can start.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import ConditionError, DevicePage
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import OnConflict
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout import joiners
from functions.use_cases import conflicts, later_rollouts, order, recent_rollouts
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services
from functions.use_cases.target_devices import FoundDevices
from functions.use_cases.tick_budget import TickBudget

# A tick has other work, too. On a hub of many units the next page is due at once.
MAX_PAGES_PER_TICK = 5
# A page of ids is at most four messages of 4 KB; the budget counts rows of whole twins.
_COUNTED_ROWS = 16

_log = logging.getLogger(__name__)


def take_joiners(services: Services, snapshot: Snapshot, budget: TickBudget) -> Snapshot:
    """Continue the search for late joiners within this tick's budget. Return the new snapshot.

    While the hub is unavailable, the search waits and the rollout goes on. Raises LostRaceError,
    StorageUnavailableError.
    """
    if not snapshot.rollout.definition.target.joiners:
        return snapshot
    snapshot = _join(services, snapshot)
    limits = services.limits
    try:
        for _ in range(MAX_PAGES_PER_TICK):
            is_due = joiners.is_due(snapshot.rollout, services.clock(), limits)
            if not is_due or not budget.take_query(_COUNTED_ROWS):
                break
            snapshot = _join(services, _search_next_page(services, snapshot))
    except HubUnavailableError as error:
        _log.warning(
            "rollout %s: the search for joiners waits for the hub: %s", snapshot.rollout.id, error
        )
    return snapshot


def _search_next_page(services: Services, snapshot: Snapshot) -> Snapshot:
    before, limits = snapshot.rollout.joining, services.limits
    page = _query_page(services, snapshot.rollout)
    found = _choose(services, snapshot, page.devices) if page else ()

    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        rollout = stored.rollout
        if rollout.joining != before or not joiners.takes_joiners(rollout):
            return None  # another tick has searched this page, or a command has ended the search
        if page is None:
            return Change(joiners.restart_search(rollout, moment.now, limits))
        return Change(joiners.record_page(rollout, moment.now, limits, found, page.cursor))

    return commit(services, snapshot, decide)


def _query_page(services: Services, rollout: Rollout) -> DevicePage | None:
    """Query the next page of devices that match. Return None if the hub refuses the query."""
    condition, paths = rollout.definition.target.condition or "", rollout.strategy.stratify_by
    try:
        return services.hub.query_matching(condition, paths, rollout.joining.cursor)
    except ConditionError as error:
        _log.warning("rollout %s: the search for joiners begins again: %s", rollout.id, error)
        return None


def _choose(
    services: Services, snapshot: Snapshot, devices: Sequence[TargetDevice]
) -> Sequence[TargetDevice]:
    """Return the devices that join: those that neither this rollout nor a later one has.

    If the strategy refuses conflicts, a device joins only when no other rollout is busy with it.
    """
    known = services.known_devices.read(services.stores, snapshot)
    new = {device.device_id: device for device in devices if device.device_id not in known}
    if not new:
        return ()
    rollout = snapshot.rollout
    taken = set(later_rollouts.find_superseding(services.stores, rollout.id, new.keys()))
    if rollout.strategy.on_conflict is OnConflict.REFUSE:
        busy = conflicts.find_conflicts(services, new.keys(), rollout.id)
        taken = taken.union(*busy.values())
    return [
        device
        for device_id, device in new.items()
        if device_id not in taken and joiners.may_join(rollout, device)
    ]


def _join(services: Services, snapshot: Snapshot) -> Snapshot:
    """Let the found devices join. Return the snapshot as stored."""
    rollout, stores = snapshot.rollout, services.stores
    found = rollout.joining.found
    if not found:
        return snapshot
    numbers = joiners.block_numbers(rollout)
    stores.targets.add_history(rollout.id, numbers)
    open_ids = stores.rollouts.list_open_ids()
    supersession = order.supersede_earlier(services, open_ids, rollout.id, numbers.keys())
    later_ids = list(later_rollouts.find_later(stores, rollout.id, numbers.keys()))
    needs_fresh_twins = recent_rollouts.needs_fresh_twins(
        services, open_ids, rollout.id, FoundDevices(devices=found)
    )
    last_number, is_partial = divmod(rollout.total, BLOCK_SIZE)

    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        if stored.rollout.joining.found != found:
            return None  # they have joined with another tick
        last_block = stored.blocks[last_number] if is_partial else None
        grown, blocks = joiners.add_found(stored.rollout, last_block, moment.now)
        grown = supersession.add_event(order.enter_later(grown, later_ids), moment.now)
        fresh = grown.needs_fresh_twins or needs_fresh_twins
        return Change(replace(grown, needs_fresh_twins=fresh), blocks)

    _log.info("rollout %s: %d devices join", rollout.id, len(found))
    return commit(services, snapshot, decide, [last_number] if is_partial else [])
