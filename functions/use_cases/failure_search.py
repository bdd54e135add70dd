"""Search the hub for devices that have reported a failure before they are due to be observed.

With many devices in flight, each is observed when devices usually finish. Devices that fail sooner
would be noticed only then, and until then others would start. So one query for each rollout, in
each tick at most, finds the devices that have reported a failure lately. They are then observed as
if they were due: the query itself is no evidence.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from functions.errors import HubUnavailableError
from functions.hub_gateway.port import ConditionError, FailureQuery
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.target import TargetDevice
from functions.use_cases.failure_searches import QUERY_LAG, Search, is_worthwhile
from functions.use_cases.observe import Observations
from functions.use_cases.services import Services
from functions.use_cases.tick_budget import TickBudget

# How long a search waits that the hub rejects. Devices are still observed when they are due.
REJECTED_PAUSE = timedelta(hours=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Devices that have reported a failure lately."""

    reports: frozenset[TargetDevice] = frozenset()  # with the hub's time of the status as stratum
    blocks: tuple[int, ...] = ()  # numbers of their blocks

    @property
    def device_ids(self) -> frozenset[str]:
        return frozenset(report.device_id for report in self.reports)


NOTHING_FOUND = Found()


def find(services: Services, snapshot: Snapshot, budget: TickBudget) -> Found:
    """Query one page of the rollout's failures, if a query is due and the budget has one.

    Reports that were read before are left out. Raises StorageUnavailableError.
    """
    moment = services.moment(snapshot.rollout)
    if not is_worthwhile(moment.rollout):
        return NOTHING_FOUND
    search = services.searches.get(moment)
    if search.due_at(moment.now) > moment.now or not budget.take_query(0):
        return NOTHING_FOUND
    page = _query(services, moment, search)
    new = {report.device_id: report for report in page if report not in search.known}
    if not new:
        return NOTHING_FOUND
    blocks = services.stores.rollouts.find_blocks(snapshot, list(new))
    search.remember(report for name, report in new.items() if name not in blocks)
    found = frozenset(new[name] for name in blocks)
    return Found(found, tuple(sorted(set(blocks.values()))))


def _query(services: Services, moment: Moment, search: Search) -> Iterable[TargetDevice]:
    """Query the next page. Return no reports if the hub fails; a later tick queries again."""
    if search.cursor is None:
        search.begun_at = moment.now
    search.searched_at = moment.now
    search.count += 1
    query = FailureQuery(moment.rollout.id, search.since, _names(moment))
    cursor, search.cursor = search.cursor, None
    try:
        page = services.hub.query_failures(query, cursor)
    except HubUnavailableError as error:
        _log.warning("rollout %s: failures were not searched: %s", moment.rollout.id, error)
        return ()
    except ConditionError as error:
        if cursor is None:  # else the hub has forgotten the cursor: the query begins again
            _log.warning("rollout %s: the hub rejects the search: %s", moment.rollout.id, error)
            search.searched_at = moment.now + REJECTED_PAUSE
        return ()
    search.cursor = page.cursor
    if page.cursor is None:
        search.since = max(search.since, search.begun_at - QUERY_LAG)
    return page.devices


def _names(moment: Moment) -> tuple[str, ...]:
    """Return the versions that devices may report once they have completed; empty: any."""
    if not moment.strategy.verify_version:
        return ()
    packages = moment.rollout.packages
    return tuple({name for item in packages for name in (item.version, *item.reported_as)})


def record_read(
    services: Services,
    snapshot: Snapshot,
    numbers: Iterable[int],
    observations: Observations,
    found: Found,
) -> None:
    """Keep the reports in these blocks from being found again, unless a twin was not read."""
    if not found.reports:
        return
    updates = {
        update.device_id: update for number in numbers for update in snapshot.blocks[number].updates
    }
    read = [
        report
        for report in found.reports
        if report.device_id in updates
        and (
            report.device_id in observations.twins
            or not attention.can_report_failure(updates[report.device_id])
        )
    ]
    services.searches.record_read(snapshot.rollout, read)
