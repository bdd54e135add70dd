"""Who is meant by a request: its devices as the hub knows them.

Up to MAX_CHECKED_BY_REQUEST devices are known at the response, each checked with the hub. Of
more, the hub's query quota allows no check in time: their rollout is `scheduled`, and gathers
them behind the request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.errors import FieldError, HubUnavailableError, InvalidError
from functions.hub_gateway.port import ConditionError, HubGateway
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.target import TargetDevice

MAX_CHECKED_BY_REQUEST = 1000
# A rollout of at most this many devices is started by the request itself, so that the caller
# sees each device's answer; a larger one is started by the timer, at the pace it sets.
MAX_STARTED_BY_REQUEST = 10
MAX_FIELD_ERRORS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """`complete` is whether `members` are all; if not, `cursor` continues a condition's query.

    `twins` are there for the devices of a rollout that is small enough to start at once;
    `queries` is how many queries it took.
    """

    members: Sequence[TargetDevice]
    complete: bool = True
    cursor: str | None = None
    twins: Mapping[str, DeviceTwin] = field(default_factory=dict)
    queries: int = 0


def find(hub: HubGateway, request: NewRollout) -> Devices:
    """The devices of a request, as far as they can be known at once.

    Raises InvalidError (ids the hub does not know, a condition that it does not accept or that
    nothing meets), HubUnavailableError.
    """
    if request.condition is not None:
        return _matching(hub, request)
    if len(request.device_ids) > MAX_CHECKED_BY_REQUEST:
        return Devices(members=[TargetDevice(item) for item in request.device_ids], complete=False)
    return _listed(hub, request)


def _listed(hub: HubGateway, request: NewRollout) -> Devices:
    ids, paths = request.device_ids, request.strategy.stratify_by
    small = len(ids) <= MAX_STARTED_BY_REQUEST
    queried = [] if small and not paths else hub.query_devices(ids, paths)
    members = {member.device_id: member for member in queried}
    # A query may not know of a device that was registered a moment ago.
    read = list(ids) if small else [item for item in ids if item not in members]
    twins = hub.read_twins(read) if read else {}
    _check_all_known(ids, members, twins)
    known = {item: twin for item, twin in twins.items() if twin is not None}
    return Devices(
        members=[members.get(item, TargetDevice(item)) for item in ids],
        twins=known if small else {},
        queries=-(-len(members) // QUERY_ROWS),
    )


def _check_all_known(
    ids: Sequence[str],
    members: Mapping[str, TargetDevice],
    twins: Mapping[str, DeviceTwin | None],
) -> None:
    if any(item not in members and item not in twins for item in ids):
        raise HubUnavailableError("The IoT Hub could not be asked about all of the devices.")
    unknown = [
        FieldError(f"/target/deviceIds/{number}", f"the hub knows no device {item!r}")
        for number, item in enumerate(ids)
        if twins.get(item, ...) is None
    ]
    if unknown:
        message = f"{len(unknown)} of the devices are unknown to the hub."
        raise InvalidError(message, unknown[:MAX_FIELD_ERRORS])


def _matching(hub: HubGateway, request: NewRollout) -> Devices:
    condition, paths = request.condition or "", request.strategy.stratify_by
    members: dict[str, TargetDevice] = {}
    cursor: str | None = None
    try:
        while True:
            page = hub.query_matching(condition, paths, cursor)
            members |= {member.device_id: member for member in page.devices}
            cursor = page.cursor
            if cursor is None or len(members) >= MAX_CHECKED_BY_REQUEST:
                break
    except ConditionError as error:
        raise make_condition_error(str(error)) from error
    if not members:
        raise make_condition_error("no device meets it")
    known = list(members.values())
    small = cursor is None and len(known) <= MAX_STARTED_BY_REQUEST
    twins = hub.read_twins([member.device_id for member in known]) if small else {}
    return Devices(
        members=known,
        complete=cursor is None,
        cursor=cursor,
        twins={item: twin for item, twin in twins.items() if twin is not None},
        queries=-(-len(known) // QUERY_ROWS),
    )


def make_condition_error(why: str) -> InvalidError:
    """The refusal of a condition, with the reason."""
    field_error = FieldError("/target/condition", why)
    return InvalidError("The target's condition cannot be used.", [field_error])
