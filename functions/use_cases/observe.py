"""Read the devices that are due, as cheaply as the coming decisions allow.

A query returns 100 twins for a few messages, but they may be minutes old, and the hub limits
queries more than any other read. A single read returns a twin as it is now and costs a message.
So single reads serve few devices and decisions that cannot be undone, queries serve many devices,
and the other devices wait for a later tick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched

from functions.hub_gateway.port import HubGateway
from functions.rollout_store.ports.device_locks import DeviceLockStore
from functions.rollouts.device import attention, following, leaving, reports
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.use_cases.tick_budget import TickBudget

# For fewer devices, single reads are better than a query.
MIN_QUERIED = 10


@dataclass(frozen=True, slots=True)
class Observations:
    """What a tick read of devices. A device that is in no field was not read."""

    twins: Mapping[str, DeviceTwin | None]  # by device id; None: the hub does not know the device
    fresh: frozenset[str]  # devices whose twin was read singly, as it is now
    connected: Mapping[str, bool]  # of devices that were only checked for a connection
    # Devices that have reported a failure before they were due; observed as if they were.
    noticed: frozenset[str] = frozenset()

    def find_read(self, updates: Sequence[DeviceUpdate]) -> list[int]:
        """Return the indexes of the updates of whose devices anything was read."""
        if not self.twins and not self.connected:
            return []
        return [
            index
            for index, update in enumerate(updates)
            if update.device_id in self.twins or update.device_id in self.connected
        ]


NOTHING = Observations({}, frozenset(), {})


def observe_due(
    hub: HubGateway,
    moment: Moment,
    updates: Iterable[DeviceUpdate],
    budget: TickBudget,
    noticed: frozenset[str] = frozenset(),
) -> Observations:
    """Read the devices of those `updates` that are due or `noticed`, within the budget.

    Raises HubUnavailableError.
    """
    due = [
        item
        for item in attention.leave_out_idle(updates)
        if _is_observed(moment, item, noticed)
        and budget.may_observe(under_way=attention.is_under_way(item))
    ]
    if not due:
        return NOTHING
    due.sort(key=lambda item: item.observe_at or item.not_before or moment.now)
    if noticed:
        due.sort(key=lambda item: item.device_id not in noticed)
    must_be_fresh, others, waiting = _sort_by_need(moment, due)
    must_be_fresh = must_be_fresh[: budget.take_reads(len(must_be_fresh))]
    to_query, others = _take_queries(others, budget)
    to_read = [*must_be_fresh, *others[: budget.take_reads(len(others))]]
    twins: dict[str, DeviceTwin | None] = dict(hub.query_twins(to_query)) if to_query else {}
    checked, connected = _check_connections(hub, waiting, budget)
    # Only a fresh twin tells that a device is gone.
    suspects = [item for item in to_query if leaving.is_gone(twins.get(item))]
    suspects += [item for item in checked if item not in connected]
    to_read += suspects[: budget.take_reads(len(suspects))]
    fresh = hub.read_twins(to_read) if to_read else {}
    return Observations({**twins, **fresh}, frozenset(fresh), connected, noticed)


def _sort_by_need(
    moment: Moment, due: Iterable[DeviceUpdate]
) -> tuple[list[str], list[str], list[str]]:
    """Return the devices that need a fresh twin, any twin, or only a check of the connection."""
    must_be_fresh: list[str] = []
    others: list[str] = []
    waiting: list[str] = []
    for item in due:
        if not attention.needs_twin(moment, item):
            waiting.append(item.device_id)
        elif attention.needs_fresh_twin(moment, item):
            must_be_fresh.append(item.device_id)
        else:
            others.append(item.device_id)
    return must_be_fresh, others, waiting


def _is_observed(moment: Moment, update: DeviceUpdate, noticed: frozenset[str]) -> bool:
    is_noticed = update.device_id in noticed and attention.can_report_failure(update)
    return is_noticed or attention.is_due(moment, update)


def drop_taken_over(
    locks: DeviceLockStore,
    moment: Moment,
    updates: Iterable[DeviceUpdate],
    observations: Observations,
) -> Observations:
    """Drop the twins of failed devices that another rollout has taken over.

    A device that reports no rollout seems to complete this one when it completes another. Its
    device lock names the rollout that invoked it last. Raises StorageUnavailableError.
    """
    if not observations.twins:
        return observations
    dropped: dict[str, DeviceTwin | None] = {}
    for update in updates:
        if update.state is not DeviceState.FAILED:
            continue
        twin = observations.twins.get(update.device_id)
        if twin is None or reports.names_rollout(twin, moment.rollout.id):
            continue
        lock = locks.get(update.device_id)
        if lock is not None and lock.record.rollout_id != moment.rollout.id:
            dropped[update.device_id] = None
    if not dropped:
        return observations
    return replace(observations, twins={**observations.twins, **dropped})


def apply_observations(
    moment: Moment, update: DeviceUpdate, observations: Observations
) -> DeviceUpdate:
    """Apply what was read of the update's device, then what the time decides.

    The update must be one of `Observations.find_read`.
    """
    device_id = update.device_id
    if not _is_observed(moment, update, observations.noticed):
        return update
    if device_id in observations.twins:
        twin, is_fresh = observations.twins[device_id], device_id in observations.fresh
        return _apply_twin(moment, update, twin, is_fresh=is_fresh)
    connected = observations.connected[device_id]
    return following.decide(moment, update, None, connected=connected)


def _apply_twin(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None, *, is_fresh: bool
) -> DeviceUpdate:
    observed = following.observe(moment, update, twin) if twin else update
    if is_fresh:
        observed = leaving.leave_if_gone(moment, observed, twin)
    if twin is None:
        # A failed update must not stay due for ever because its device is gone or taken over.
        is_failed = observed.state is DeviceState.FAILED
        return following.decide(moment, observed, None, connected=None) if is_failed else observed
    if not is_fresh and attention.needs_fresh_twin(moment, observed):
        return observed
    return following.decide(moment, observed, twin, connected=twin.connected)


def _take_queries(device_ids: Sequence[str], budget: TickBudget) -> tuple[list[str], list[str]]:
    """Take queries for whole pages of devices. Return the devices to query and the others."""
    to_query: list[str] = []
    others: list[str] = []
    for page in batched(device_ids, QUERY_ROWS, strict=False):
        many = len(page) >= MIN_QUERIED
        (to_query if many and budget.take_query(0, twins=len(page)) else others).extend(page)
    return to_query, others


def _check_connections(
    hub: HubGateway, device_ids: Sequence[str], budget: TickBudget
) -> tuple[Sequence[str], Mapping[str, bool]]:
    """Query whether devices are connected. Return the checked devices, and what was found."""
    checked: list[str] = []
    connected: dict[str, bool] = {}
    for page in batched(device_ids, QUERY_ROWS, strict=False):
        if not budget.take_query(len(page)):
            break
        checked.extend(page)
        connected |= hub.query_connections(page)
    return checked, connected
