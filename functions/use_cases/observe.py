"""Look at devices whose turn it is, as cheaply as the decisions ahead allow.

A query brings a hundred twins for a few messages and is up to minutes old; queries are the hub's
scarcest read. A single read is fresh and costs a message. So: few devices, and decisions that
cannot be taken back, by single reads; many devices by query; the rest in a later tick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from functions.hub_gateway.port import HubGateway
from functions.rollouts.device import following
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.use_cases.tick_budget import TickBudget

# A query is worth it from so many devices.
MIN_QUERIED = 10


@dataclass(frozen=True, slots=True)
class Observations:
    """What was looked at. `twins` has None for a device that the hub does not know.

    Those in `fresh` were read one by one. Of the devices in `asked` it is only known whether
    they are `connected`.
    """

    twins: Mapping[str, DeviceTwin | None]
    fresh: frozenset[str]
    asked: frozenset[str]
    connected: frozenset[str]


NOTHING = Observations({}, frozenset(), frozenset(), frozenset())


def look(
    hub: HubGateway, moment: Moment, updates: Iterable[DeviceUpdate], purse: TickBudget
) -> Observations:
    """Look at those of `updates` that want it, as far as the purse goes.

    Raises HubUnavailableError.
    """
    due = [item for item in updates if _is_due(moment, item)]
    if not due:
        return NOTHING
    due.sort(key=lambda item: item.observe_at or item.not_before or moment.now)
    whole = [item for item in due if following.is_worth_a_twin(moment, item)]
    sure = [item.device_id for item in whole if following.must_be_sure(moment, item)]
    rest = [item.device_id for item in whole if not following.must_be_sure(moment, item)]
    waiting = [item.device_id for item in due if not following.is_worth_a_twin(moment, item)]
    sure = sure[: purse.reads(len(sure))]
    queried, rest = _divided(rest, purse)
    single = [*sure, *rest[: purse.reads(len(rest))]]
    twins: dict[str, DeviceTwin | None] = dict(hub.query_twins(queried)) if queried else {}
    fresh = hub.read_twins(single) if single else {}
    asked, connected = _who_is_connected(hub, waiting, purse)
    return Observations({**twins, **fresh}, frozenset(fresh), asked, connected)


def followed(moment: Moment, update: DeviceUpdate, seen: Observations) -> DeviceUpdate:
    """What was seen of one device, taken in; then what time decides."""
    if not _is_due(moment, update):
        return update
    device_id = update.device_id
    if device_id in seen.twins:
        twin = seen.twins[device_id]
        observed = following.observe(moment, update, twin) if twin else update
        if following.must_be_sure(moment, observed) and device_id not in seen.fresh:
            return observed
        connected = twin.connected if twin else None
        return following.decide(moment, observed, twin, connected=connected)
    if device_id in seen.asked:
        return following.decide(moment, update, None, connected=device_id in seen.connected)
    return update


def _is_due(moment: Moment, update: DeviceUpdate) -> bool:
    when = following.attention_at(moment, update)
    return when is not None and when <= moment.now


def _divided(device_ids: Sequence[str], purse: TickBudget) -> tuple[list[str], list[str]]:
    """Those to be queried, in whole pages, and the others."""
    queried: list[str] = []
    rest: list[str] = []
    for part in batched(device_ids, QUERY_ROWS, strict=False):
        many = len(part) >= MIN_QUERIED
        (queried if many and purse.query(len(part)) else rest).extend(part)
    return queried, rest


def _who_is_connected(
    hub: HubGateway, device_ids: Sequence[str], purse: TickBudget
) -> tuple[frozenset[str], frozenset[str]]:
    asked: set[str] = set()
    connected: set[str] = set()
    for part in batched(device_ids, QUERY_ROWS, strict=False):
        if not purse.query(0):
            break
        asked.update(part)
        connected |= hub.query_connected(part)
    return frozenset(asked), frozenset(connected)
