"""Remove ended rollouts that are older than the retention time, in small steps.

A rollout is removed only when no rollout exists that was created before it. An older one may still
queue devices, in a retry for instance, and must find that a later rollout has taken them since.
Packages stay in the catalogue, so later rollbacks find those that a version names.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.errors import LostRaceError
from functions.rollout_store.ports.retention import EndedRollout, TickWork
from functions.rollout_store.ports.rollout_ids import created_at
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.use_cases import catalogue
from functions.use_cases.services import Services

# Of the time between two ticks.
MAX_SHARE = 0.1
# What is left for the next step, as a multiple of the longest so far: it may take longer.
MARGIN = 2
# The longest time between two ticks that counts: one interval of the default schedule.
MAX_INTERVAL = timedelta(seconds=10)
# A rollout that has to wait for an older one is considered again after this.
POSTPONEMENT = timedelta(days=1)
# After this, a rollout that was announced and not stored is removed. No creation takes as long.
MAX_UNSTORED = timedelta(days=7)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Allowance:
    """The time that the removals of one tick may take."""

    services: Services
    length: timedelta
    begun_at: datetime
    last_at: datetime
    longest: timedelta = timedelta()  # of the steps so far

    def has_room(self) -> bool:
        """Record that a step has ended. Return whether another one fits."""
        now = self.services.clock()
        self.longest = max(self.longest, now - self.last_at)
        self.last_at = now
        return now - self.begun_at + MARGIN * self.longest <= self.length


def list_work(services: Services) -> TickWork:
    """List the open rollouts, and those to remove. Raises StorageUnavailableError."""
    retention = services.retention
    ended_before = services.clock() - retention if retention else None
    return services.stores.retention.list_work(ended_before)


def remove_expired(services: Services, work: TickWork) -> None:
    """Remove rollouts, as far as a tenth of the time between two ticks allows.

    An error is logged, and the next tick continues.
    """
    length = services.tick_times.begin(services.clock()) * MAX_SHARE
    now = services.clock()
    allowance = Allowance(services, min(length, MAX_INTERVAL * MAX_SHARE), now, now)
    try:
        _list_closed(services, work.misplaced_ids, allowance)
        older = {*work.open_ids, *work.misplaced_ids}
        for ended in sorted(work.expired, key=lambda item: item.id, reverse=True):
            if not allowance.has_room():
                return
            _remove(services, ended, older, allowance)
    except Exception:  # noqa: BLE001 - a removal must not stop the tick
        _log.exception("removing ended rollouts failed; the next tick continues")


def abandon(services: Services, rollout_id: str) -> None:
    """List a rollout for removal whose creation crashed long ago."""
    before = services.clock() - max(MAX_UNSTORED, services.retention or MAX_UNSTORED)
    if services.retention and created_at(rollout_id) < before:
        services.stores.retention.abandon(rollout_id, before)


def _list_closed(services: Services, ids: Sequence[str], allowance: Allowance) -> None:
    """List rollouts as closed that an earlier release left among the open ones."""
    for rollout_id in ids:
        if not allowance.has_room():
            return
        snapshot = services.stores.rollouts.get(rollout_id)
        if snapshot is not None and snapshot.rollout.is_over:
            services.stores.rollouts.save(snapshot, snapshot.rollout)


def _remove(
    services: Services, ended: EndedRollout, older: Collection[str], allowance: Allowance
) -> None:
    store = services.stores.retention
    snapshot = services.stores.rollouts.get(ended.id)
    if snapshot is None and ended.id in older:  # it is being created again
        return
    if snapshot is not None and not _is_expired(services, snapshot.rollout):
        store.forget(ended)  # it was reopened, and has another entry once it ends
        return
    if snapshot is not None and _is_needed(services, snapshot.rollout, older):
        retention = services.retention or timedelta()
        store.postpone(ended, services.clock() - retention + min(POSTPONEMENT, retention))
        return
    try:
        _carry_out(services, ended, snapshot, allowance)
    except LostRaceError:
        _log.info("rollout %s: changed before its removal; it stays", ended.id)


def _is_expired(services: Services, rollout: Rollout) -> bool:
    """Return whether a rollout has ended long ago, and is not followed any more."""
    retention, ended_at = services.retention, rollout.ended_at
    if not retention or ended_at is None or rollout.is_followed:
        return False
    return ended_at < services.clock() - retention


def _is_needed(services: Services, rollout: Rollout, older: Collection[str]) -> bool:
    """Return whether a rollout must stay: an older one exists, or what undoes it is open."""
    strata = [gate.frozen.rollback for gate in rollout.stratum_gates if gate.frozen is not None]
    rollbacks = [item for item in (rollout.rollback, *strata) if isinstance(item, RolledBack)]
    if any(item.rollback_id in older for item in rollbacks):
        return True
    is_older = any(other_id > rollout.id for other_id in older)
    return is_older or services.stores.retention.has_earlier(rollout.id)


def _carry_out(
    services: Services, ended: EndedRollout, snapshot: Snapshot | None, allowance: Allowance
) -> None:
    # A rollback's packages are those of earlier rollouts, which stored them, or the catalogue's.
    if snapshot is not None and snapshot.rollout.definition.rollback_of is None:
        catalogue.save_aliases(services.stores.catalogue, snapshot.rollout.packages)
    for _ in services.stores.retention.remove(ended, snapshot):
        if not allowance.has_room():
            return
    _log.info("rollout %s: removed, because its retention time is over", ended.id)
