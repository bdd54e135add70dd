"""Freeze starts in all rollouts at once, and keep each open rollout's record informed.

The stored freeze is what counts. Each open rollout's record gets a copy: by the request that sets
or removes the freeze, by the request that creates a rollout, and by each tick. The copy is read and
written with everything else of the rollout, so batches need no other read to obey it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from functions.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    LostRaceError,
    StorageUnavailableError,
    UnavailableError,
    UnknownError,
)
from functions.hub_gateway.port import ConditionError, HubGateway
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.webhooks import Controls
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.freeze import Freeze, NewFreeze
from functions.rollouts.model.package_uri import hide_secrets
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import freezing
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases.commit import Change, commit
from functions.use_cases.services import Services

MAX_ATTEMPTS = 10

_log = logging.getLogger(__name__)

type _Decide = Callable[[Freeze | None, datetime], Freeze]


def read_latest(services: Services) -> Freeze | None:
    """Read the latest freeze, in force or not, and learn the webhooks with it.

    Raises StorageUnavailableError.
    """
    return read_controls(services).freeze


def read_controls(services: Services) -> Controls:
    """Read what all rollouts share, and learn the webhooks. Raises StorageUnavailableError."""
    controls = services.stores.webhooks.read_controls()
    services.feed.learn(controls.webhooks)
    return controls


def set_freeze(services: Services, new: NewFreeze, caller: Caller) -> tuple[Freeze, Freeze | None]:
    """Freeze starts, instead of an earlier freeze. Return the freeze and the one it replaces.

    It is in force in all rollouts when this returns. Raises InvalidError (`until` is over, the hub
    rejects the condition, or no device matches it), ConflictError (another revision),
    HubUnavailableError, StorageUnavailableError.
    """
    if new.until is not None and new.until <= services.clock():
        detail = f"is over: it is {texts.utc_time(services.clock())} now; send a later time"
        raise InvalidError("The freeze would end at once.", [FieldError("/until", detail)])
    if new.condition is not None:
        _check_condition(services.hub, new.condition)

    def decide(before: Freeze | None, now: datetime) -> Freeze:
        _check_revision(before, new.revision)
        return Freeze(
            revision=_revision(before) + 1,
            reason=hide_secrets(new.reason),
            by=caller.name,
            since=now,
            until=new.until,
            condition=new.condition,
        )

    freeze, before = _store(services, decide)
    _enter_in_open(services, freeze)
    replaced = before if before is not None and before.is_in_force(freeze.since) else None
    return freeze, replaced


def remove_freeze(services: Services, caller: Caller) -> Freeze:
    """Remove the freeze; rollouts go on with the next tick. Return the freeze that was removed.

    Raises UnknownError if none is in force, StorageUnavailableError.
    """

    def decide(before: Freeze | None, now: datetime) -> Freeze:
        if before is None or not before.is_in_force(now):
            raise UnknownError("No freeze is in force.")
        return replace(
            before,
            revision=before.revision + 1,
            ended_at=now,
            ended_by=caller.name,
            ended_reason=hide_secrets(caller.reason) if caller.reason else None,
        )

    freeze, _ = _store(services, decide)
    _enter_in_open(services, freeze)
    return freeze


def learn(services: Services, snapshot: Snapshot, freeze: Freeze | None) -> Snapshot:
    """Enter the latest freeze in a rollout's record. Return the snapshot as stored."""
    if learn_unstored(services, snapshot.rollout, freeze) is snapshot.rollout:
        return snapshot

    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        learned = freezing.learn(stored.rollout, freeze, moment.now)
        return None if learned is stored.rollout else Change(learned)

    return commit(services, snapshot, decide)


def learn_unstored(services: Services, rollout: Rollout, freeze: Freeze | None) -> Rollout:
    """Enter the latest freeze in a record that the caller stores."""
    if freeze is None and rollout.freeze is None:
        return rollout
    return freezing.learn(rollout, freeze, services.clock())


def find_frozen(services: Services, rollout: Rollout, device_ids: Sequence[str]) -> frozenset[str]:
    """Find which of these devices match the condition of the rollout's freeze.

    Queries nothing if only a freeze of all devices, or none, is in force. If the hub rejects the
    condition, all are frozen. Raises HubUnavailableError.
    """
    freeze = rollout.freeze
    if freeze is None or not freeze.freezes_some(services.clock()) or not device_ids:
        return frozenset()
    try:
        return services.hub.find_matching(freeze.condition or "", device_ids)
    except ConditionError as error:
        _log.warning("the hub rejects the freeze's condition; its devices wait: %s", error)
        return frozenset(device_ids)


def _revision(freeze: Freeze | None) -> int:
    return freeze.revision if freeze else 0


def _check_revision(before: Freeze | None, revision: int | None) -> None:
    if revision is not None and revision != _revision(before):
        raise ConflictError(
            f"The freeze has revision {_revision(before)}, not {revision}: it was changed"
            " meanwhile. Read it again, and send its revision, or none to replace it anyway."
        )


def _check_condition(hub: HubGateway, condition: str) -> None:
    """Raise InvalidError unless the hub accepts the condition and some device matches it."""
    detail = "no device matches it"
    try:
        if hub.query_matching(condition, (), None).devices:
            return
    except ConditionError as error:
        detail = str(error)
    raise InvalidError("The freeze's condition cannot be used.", [FieldError("/condition", detail)])


def _store(services: Services, decide: _Decide) -> tuple[Freeze, Freeze | None]:
    """Store what `decide` makes of the stored freeze. Return both."""
    for _ in range(MAX_ATTEMPTS):
        stored: Stored[Freeze] | None = services.stores.freezes.get()
        before = stored.record if stored else None
        freeze = decide(before, services.clock())
        try:
            services.stores.freezes.save(freeze, stored.version if stored else None)
        except LostRaceError:
            continue
        return freeze, before
    raise LostRaceError(f"The freeze was changed by other requests {MAX_ATTEMPTS} times in a row.")


def _enter_in_open(services: Services, freeze: Freeze) -> None:
    """Enter the freeze in all open rollouts. Raises StorageUnavailableError if one is left."""
    ids = services.stores.rollouts.list_open_ids()
    left = [rollout_id for rollout_id in ids if not _enter(services, rollout_id, freeze)]
    if left:
        raise StorageUnavailableError(
            f"The freeze is stored, but {texts.count(len(left), 'rollout')} of {len(ids)} could not"
            " be changed yet; the next tick changes them. Send the request again to be sure."
        )


def _enter(services: Services, rollout_id: str, freeze: Freeze) -> bool:
    try:
        snapshot = services.stores.rollouts.get(rollout_id)
        if snapshot is not None:  # else it is being created, and reads the freeze itself
            learn(services, snapshot, freeze)
    except (UnavailableError, LostRaceError):
        _log.exception("rollout %s: the freeze is not entered yet", rollout_id)
        return False
    return True
