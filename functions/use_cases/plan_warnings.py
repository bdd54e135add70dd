"""What the caller of a plan or a create may not expect, as warnings with a code and a count."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.errors import ConflictError, HubUnavailableError
from functions.hub_gateway.port import ConditionError, HubGateway
from functions.rollouts.model import texts
from functions.rollouts.model.freeze import CODE, Freeze, describe
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.strategy import OnConflict
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout import joiners
from functions.rollouts.rollout.start_order import empty_waves
from functions.use_cases import quarantine
from functions.use_cases.conflicts import (
    Shared,
    Supersession,
    find_updating,
    name_first,
    refuse_conflicts,
)
from functions.use_cases.planned_strata import describe_strata
from functions.use_cases.planned_versions import PlannedVersions
from functions.use_cases.services import Services
from functions.use_cases.target_devices import (
    MAX_CHECKED_BY_REQUEST,
    FoundDevices,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWarning:
    """Something that the caller may not expect. Only what `conflict` is about is refused."""

    code: str
    message: str
    count: int  # of what the message is about


def warn_of_unknown(hub: HubGateway, request: NewRollout) -> Sequence[PlanWarning]:
    """Warn of unknown ids among the first ones of a list that is too long to be checked."""
    if len(request.device_ids) <= MAX_CHECKED_BY_REQUEST:
        return []
    first = request.device_ids[:MAX_CHECKED_BY_REQUEST]
    known = {row.device_id for row in hub.query_devices(first, ())}
    unknown = [device_id for device_id in first if device_id not in known]
    if not unknown:
        return []
    message = (
        f"Of the first {len(first):,} device ids, the hub does not know {len(unknown):,}:"
        f" {name_first(unknown)}. A device that it does not know when it should start is skipped"
        " (deviceRemoved)."
    )
    return [PlanWarning(code="unknownDevices", message=message, count=len(unknown))]


def warn_of_later_target(total: int) -> Sequence[PlanWarning]:
    message = (
        f"The condition is evaluated at startAt; these are the {texts.count(total, 'device')} that"
        " match it now."
    )
    return [PlanWarning(code="resolvedAtStart", message=message, count=total)]


def warn_of_freeze(
    services: Services, latest: Freeze | None, device_ids: Sequence[str], total: int | None = None
) -> Sequence[PlanWarning]:
    """Warn of the devices that do not start before the freeze ends.

    A condition is evaluated for the first MAX_CHECKED_BY_REQUEST devices. `total` is the number of
    devices, if it is not that of `device_ids`.
    """
    if latest is None or not latest.is_in_force(services.clock()):
        return []
    count = len(device_ids) if total is None else total
    if latest.condition is not None:
        count = _count_matching_freeze(services, latest.condition, device_ids)
    return [PlanWarning(code=CODE, message=describe(latest), count=count)]


def warn_of_quarantine(
    services: Services, rollback_of: str | None, device_ids: Sequence[str]
) -> Sequence[PlanWarning]:
    """Warn of the devices that are skipped because they are in quarantine, as far as known."""
    found = quarantine.list_among(services, device_ids) if rollback_of is None else []
    if not found:
        return []
    message = f"{texts.count(len(found), 'device')} in quarantine will be skipped:"
    return [
        PlanWarning(code="quarantined", message=f"{message} {name_first(found)}.", count=len(found))
    ]


def _count_matching_freeze(services: Services, condition: str, device_ids: Sequence[str]) -> int:
    try:
        first = device_ids[:MAX_CHECKED_BY_REQUEST]
        return len(services.hub.find_matching(condition, first)) if first else 0
    except (ConditionError, HubUnavailableError):  # the rollout exists; its warning need not fail
        return 0


def warn_of_joiners(services: Services, waves: Sequence[Wave], total: int) -> Sequence[PlanWarning]:
    pages = max(1, -(-total // QUERY_ROWS))
    queries = "1 query" if pages == 1 else f"{pages} queries"
    length = texts.duration(joiners.expected_search(services.limits, pages))
    message = (
        f"Devices that come to meet the condition while the rollout is open join wave"
        f" {waves[-1].name}, and count like its other devices. A search for them takes {queries} of"
        f" the hub's quota, at most every {length}."
        " The rollout ends when all its devices have ended, and takes no more then."
    )
    return [PlanWarning(code="joiners", message=message, count=total)]


def warn_of_superseded(supersession: Supersession) -> Sequence[PlanWarning]:
    """Warn of the devices that earlier rollouts will skip."""
    if not supersession.devices:
        return []
    return [
        PlanWarning(code="superseded", message=supersession.message, count=supersession.devices)
    ]


def warn_of_updating(services: Services, open_rollouts: Sequence[Shared]) -> Sequence[PlanWarning]:
    updating = find_updating(services.stores, open_rollouts)
    if not updating:
        return []
    count = len(frozenset[str]().union(*updating.values()))
    message = (
        f"{texts.count(count, 'device')} being updated by {name_first(list(updating))}: each starts"
        " here when that update has ended, and is not tried again there."
    )
    return [PlanWarning(code="updatingElsewhere", message=message, count=count)]


def warn_of_refusal(
    services: Services, request: NewRollout, found: FoundDevices
) -> Sequence[PlanWarning]:
    if request.strategy.on_conflict is not OnConflict.REFUSE:
        return []
    try:
        refuse_conflicts(services, found.device_ids)
    except ConflictError as error:
        return [PlanWarning(code="conflict", message=str(error), count=1)]
    return []


def warn_of_strata(request: NewRollout, found: FoundDevices) -> Sequence[PlanWarning]:
    warning = describe_strata(request, found)
    if warning is None:
        return []
    code, message, count = warning
    return [PlanWarning(code=code, message=message, count=count)]


def warn_of_empty_waves(
    request: NewRollout, waves: Sequence[Wave], total: int
) -> Sequence[PlanWarning]:
    empty = empty_waves(request.strategy.waves, waves)
    if not empty:
        return []
    message = (
        f"A target of {texts.count(total, 'device')} has no device for these waves:"
        f" {', '.join(empty)}. They are left out; the next wave takes over an approval."
    )
    return [PlanWarning(code="emptyWave", message=message, count=len(empty))]


def warn_of_downgrades(request: NewRollout, running: PlannedVersions) -> Sequence[PlanWarning]:
    """Warn of the devices that run a higher version. A rollback is to take them to a lower one."""
    if not running.downgrades or request.rollback_of is not None:
        return []
    message = running.describe_downgrades(request.firmware)
    return [PlanWarning(code="downgrade", message=message, count=running.downgrades)]
