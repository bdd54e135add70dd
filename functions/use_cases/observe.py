"""Observe the devices that are due, as cheaply as the decisions ahead allow.

A query returns a hundred twins for a few messages and is up to minutes old; queries are the hub's
scarcest read. A single read is fresh and costs a message. So a few devices, and decisions that
cannot be undone, take single reads; many devices take queries; the rest waits for a later tick.
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

# Devices from which a query is worth its price.
MIN_QUERIED = 10


@dataclass(frozen=True, slots=True)
class Observations:
    """What was read of devices."""

    twins: Mapping[str, DeviceTwin | None]  # by device id; None: the hub does not know the device
    fresh: frozenset[str]  # ids whose twins were read one by one
    queried: frozenset[str]  # ids of which only the connection state was queried
    connected: frozenset[str]  # of these, the ids of connected devices


NOTHING = Observations({}, frozenset(), frozenset(), frozenset())


def observe_due(
    hub: HubGateway, moment: Moment, updates: Iterable[DeviceUpdate], budget: TickBudget
) -> Observations:
    """Read the devices of those updates that are due, as far as the budget goes.

    Raises HubUnavailableError.
    """
    due = [item for item in updates if attention.is_due(moment, item)]
    if not due:
        return NOTHING
    due.sort(key=lambda item: item.observe_at or item.not_before or moment.now)
    whole = [item for item in due if attention.needs_twin(moment, item)]
    sure = [item.device_id for item in whole if attention.needs_fresh_twin(moment, item)]
    rest = [item.device_id for item in whole if not attention.needs_fresh_twin(moment, item)]
    waiting = [item.device_id for item in due if not attention.needs_twin(moment, item)]
    sure = sure[: budget.take_reads(len(sure))]
    queried, rest = _divide(rest, budget)
    single = [*sure, *rest[: budget.take_reads(len(rest))]]
    twins: dict[str, DeviceTwin | None] = dict(hub.query_twins(queried)) if queried else {}
    fresh = hub.read_twins(single) if single else {}
    asked, connected = _query_connected(hub, waiting, budget)
    return Observations({**twins, **fresh}, frozenset(fresh), asked, connected)


def follow(moment: Moment, update: DeviceUpdate, seen: Observations) -> DeviceUpdate:
    """Change an update by what was observed of its device, then by what time decides."""
    if not attention.is_due(moment, update):
        return update
    device_id = update.device_id
    if device_id in seen.twins:
        twin = seen.twins[device_id]
        observed = following.observe(moment, update, twin) if twin else update
        if attention.needs_fresh_twin(moment, observed) and device_id not in seen.fresh:
            return observed
        connected = twin.connected if twin else None
        return following.decide(moment, observed, twin, connected=connected)
    if device_id in seen.queried:
        return following.decide(moment, update, None, connected=device_id in seen.connected)
    return update


def _divide(device_ids: Sequence[str], budget: TickBudget) -> tuple[list[str], list[str]]:
    """Return the devices to be queried, in whole pages, and the others."""
    queried: list[str] = []
    rest: list[str] = []
    for part in batched(device_ids, QUERY_ROWS, strict=False):
        is_worth_it = len(part) >= MIN_QUERIED
        (queried if is_worth_it and budget.take_query(len(part)) else rest).extend(part)
    return queried, rest


def _query_connected(
    hub: HubGateway, device_ids: Sequence[str], budget: TickBudget
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the devices that could be queried, and of these the connected ones."""
    queried: set[str] = set()
    connected: set[str] = set()
    for part in batched(device_ids, QUERY_ROWS, strict=False):
        if not budget.take_query(0):
            break
        queried.update(part)
        connected |= hub.query_connected(part)
    return frozenset(queried), frozenset(connected)
