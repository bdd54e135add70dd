"""Read the devices that are due, as cheaply as the coming decisions allow.

A query returns 100 twins for a few messages, but they may be minutes old, and the hub limits
queries more than any other read. A single read returns a twin as it is now and costs a message.
So single reads serve few devices and decisions that cannot be undone, queries serve many devices,
and the other devices wait for a later tick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from functions.hub_gateway.port import HubGateway
from functions.rollouts.device import attention, following
from functions.rollouts.device.moment import Moment
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
    checked: frozenset[str]  # devices that were only checked for a connection
    connected: frozenset[str]  # of these, the connected ones


NOTHING = Observations({}, frozenset(), frozenset(), frozenset())


def observe_due(
    hub: HubGateway, moment: Moment, updates: Iterable[DeviceUpdate], budget: TickBudget
) -> Observations:
    """Read the devices of those `updates` that are due, within the budget.

    Raises HubUnavailableError.
    """
    due = [item for item in updates if attention.is_due(moment, item)]
    if not due:
        return NOTHING
    due.sort(key=lambda item: item.observe_at or item.not_before or moment.now)
    with_twin = [item for item in due if attention.needs_twin(moment, item)]
    must_be_fresh = [
        item.device_id for item in with_twin if attention.needs_fresh_twin(moment, item)
    ]
    others = [item.device_id for item in with_twin if not attention.needs_fresh_twin(moment, item)]
    waiting = [item.device_id for item in due if not attention.needs_twin(moment, item)]
    must_be_fresh = must_be_fresh[: budget.take_reads(len(must_be_fresh))]
    to_query, others = _take_queries(others, budget)
    to_read = [*must_be_fresh, *others[: budget.take_reads(len(others))]]
    twins: dict[str, DeviceTwin | None] = dict(hub.query_twins(to_query)) if to_query else {}
    fresh = hub.read_twins(to_read) if to_read else {}
    checked, connected = _check_connections(hub, waiting, budget)
    return Observations({**twins, **fresh}, frozenset(fresh), checked, connected)


def apply_observations(
    moment: Moment, update: DeviceUpdate, observations: Observations
) -> DeviceUpdate:
    """Apply what was read of a device to its update, then what the time decides."""
    if not attention.is_due(moment, update):
        return update
    device_id = update.device_id
    if device_id in observations.twins:
        twin = observations.twins[device_id]
        observed = following.observe(moment, update, twin) if twin else update
        if attention.needs_fresh_twin(moment, observed) and device_id not in observations.fresh:
            return observed
        connected = twin.connected if twin else None
        return following.decide(moment, observed, twin, connected=connected)
    if device_id in observations.checked:
        connected = device_id in observations.connected
        return following.decide(moment, update, None, connected=connected)
    return update


def _take_queries(device_ids: Sequence[str], budget: TickBudget) -> tuple[list[str], list[str]]:
    """Take queries for whole pages of devices. Return the devices to query and the others."""
    to_query: list[str] = []
    others: list[str] = []
    for page in batched(device_ids, QUERY_ROWS, strict=False):
        many = len(page) >= MIN_QUERIED
        (to_query if many and budget.take_query(len(page)) else others).extend(page)
    return to_query, others


def _check_connections(
    hub: HubGateway, device_ids: Sequence[str], budget: TickBudget
) -> tuple[frozenset[str], frozenset[str]]:
    """Query which devices are connected. Return the checked and the connected devices."""
    checked: set[str] = set()
    connected: set[str] = set()
    for page in batched(device_ids, QUERY_ROWS, strict=False):
        if not budget.take_query(0):
            break
        checked.update(page)
        connected |= hub.query_connected(page)
    return frozenset(checked), frozenset(connected)
