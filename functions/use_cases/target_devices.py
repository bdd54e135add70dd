"""Find the devices of a request in the hub.

The hub is queried for up to MAX_CHECKED_BY_REQUEST devices before the request's response. For more
devices the hub's query quota does not suffice in that time. Their rollout is `scheduled`, and the
timer resolves its target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.errors import MAX_FIELD_ERRORS, FieldError, HubUnavailableError, InvalidError
from functions.hub_gateway.port import ConditionError, HubGateway
from functions.rollouts.model import texts
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.target import TargetDevice

MAX_CHECKED_BY_REQUEST = 1000
# The request itself starts a rollout of up to this many devices, so that the caller sees each
# device's response. The timer starts a larger one, within its budget.
MAX_STARTED_BY_REQUEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevices:
    """The devices of a request, as far as they were found before its response."""

    devices: Sequence[TargetDevice]
    complete: bool = True  # `devices` are all of them
    cursor: str | None = None  # continues a condition's query; None: at the end, or a list of ids
    # By device id, for a rollout that the request starts; empty for a larger one.
    twins: Mapping[str, DeviceTwin] = field(default_factory=dict)
    queries: int = 0  # queries spent

    @property
    def device_ids(self) -> Sequence[str]:
        return [device.device_id for device in self.devices]


def find(hub: HubGateway, request: NewRollout) -> FoundDevices:
    """Find the devices of a request, as far as that is possible before its response.

    Raises InvalidError (device ids that the hub does not know, a condition that the hub rejects
    or that no device matches), HubUnavailableError.
    """
    if request.condition is not None:
        return _find_matching(hub, request)
    if len(request.device_ids) > MAX_CHECKED_BY_REQUEST:
        devices = [TargetDevice(item) for item in request.device_ids]
        return FoundDevices(devices=devices, complete=False)
    return _find_listed(hub, request)


def check_condition(hub: HubGateway, request: NewRollout) -> FoundDevices:
    """Let the hub check a condition that is evaluated later. Raises as `find`.

    Return no devices yet. That no device matches now is no error.
    """
    condition, paths = request.condition or "", request.strategy.stratify_by
    try:
        hub.query_matching(condition, paths, None)
    except ConditionError as error:
        raise make_condition_error(str(error)) from error
    return FoundDevices(devices=(), complete=False, queries=1)


def _find_listed(hub: HubGateway, request: NewRollout) -> FoundDevices:
    ids, paths = request.device_ids, request.strategy.stratify_by
    small = len(ids) <= MAX_STARTED_BY_REQUEST
    rows = [] if small and not paths else hub.query_devices(ids, paths)
    queried = {device.device_id: device for device in rows}
    # A query may not find a device that was registered a moment ago.
    to_read = list(ids) if small else [item for item in ids if item not in queried]
    twins = hub.read_twins(to_read) if to_read else {}
    missing = [item for item in to_read if twins.get(item, ...) is None]
    # The hub may miss a device for a moment.
    twins = {**twins, **hub.read_twins(missing)} if missing else twins
    _check_all_known(ids, queried, twins)
    return FoundDevices(
        devices=[queried.get(item, TargetDevice(item)) for item in ids],
        twins=_without_missing(twins) if small else {},
        queries=_count_pages(len(queried)),
    )


def _check_all_known(
    ids: Sequence[str],
    queried: Mapping[str, TargetDevice],
    twins: Mapping[str, DeviceTwin | None],
) -> None:
    """Raise an error if the hub does not know a device, or if a twin could not be read."""
    unread = [item for item in ids if item not in queried and item not in twins]
    if unread:
        count = texts.count(len(unread), "twin")
        raise HubUnavailableError(f"The IoT Hub did not return {count} of the target; try again.")
    unknown = [
        FieldError(f"/target/deviceIds/{index}", f"the hub knows no device {item!r}")
        for index, item in enumerate(ids)
        if twins.get(item, ...) is None
    ]
    if unknown:
        message = f"The hub does not know {texts.count(len(unknown), 'device')} of the target."
        raise InvalidError(message, unknown[:MAX_FIELD_ERRORS])


def _find_matching(hub: HubGateway, request: NewRollout) -> FoundDevices:
    matching, cursor = _query_matching(hub, request)
    if not matching:
        raise make_condition_error("no device matches it")
    small = cursor is None and len(matching) <= MAX_STARTED_BY_REQUEST
    twins = hub.read_twins([device.device_id for device in matching]) if small else {}
    return FoundDevices(
        devices=matching,
        complete=cursor is None,
        cursor=cursor,
        twins=_without_missing(twins),
        queries=_count_pages(len(matching)),
    )


def _query_matching(
    hub: HubGateway, request: NewRollout
) -> tuple[Sequence[TargetDevice], str | None]:
    """Query the first devices that match the condition. Return them and the cursor of the rest."""
    condition, paths = request.condition or "", request.strategy.stratify_by
    found: dict[str, TargetDevice] = {}
    cursor: str | None = None
    try:
        while True:
            page = hub.query_matching(condition, paths, cursor)
            found |= {device.device_id: device for device in page.devices}
            cursor = page.cursor
            if cursor is None or len(found) >= MAX_CHECKED_BY_REQUEST:
                return list(found.values()), cursor
    except ConditionError as error:
        raise make_condition_error(str(error)) from error


def make_condition_error(detail: str) -> InvalidError:
    """Make the error for a condition that cannot be used."""
    field_error = FieldError("/target/condition", detail)
    return InvalidError("The target's condition cannot be used.", [field_error])


def _without_missing(twins: Mapping[str, DeviceTwin | None]) -> Mapping[str, DeviceTwin]:
    return {device_id: twin for device_id, twin in twins.items() if twin is not None}


def _count_pages(rows: int) -> int:
    return -(-rows // QUERY_ROWS)
