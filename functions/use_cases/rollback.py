"""Bring each completed device back to what it ran before, as a rollout with the same gates.

The rollback's id is stored in the rollout that it undoes before it is created, so that a crash
in between creates it once, and not twice. Where earlier firmware is to be had, the catalogue of
earlier rollouts says.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import replace

from functions.errors import ConflictError, LostRaceError
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.audit import ITSELF, add_event
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import OnBreach, Strategy
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.rollouts.rollout.start_order import fitting
from functions.use_cases import earlier_firmware
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import Creation, create_with_id
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services
from functions.use_cases.target_devices import (
    MAX_CHECKED_BY_REQUEST,
    MAX_STARTED_BY_REQUEST,
    Devices,
)

_log = logging.getLogger(__name__)


def roll_back(services: Services, rollout_id: str, caller: Caller) -> Creation:
    """Cancel the rollout if it is open, and create the one that undoes it.

    Raises UnknownError, ConflictError (nothing to bring back, or done already), LostRaceError
    (somebody else is creating it), HubUnavailableError, StorageUnavailableError.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    _check(snapshot.rollout)
    request = _request(services, snapshot, caller.name)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        _check(stored.rollout)
        rollback_id = _due_id(stored.rollout) or services.new_id(moment.now)
        return Change(operator_commands.roll_back(stored.rollout, moment.now, caller, rollback_id))

    snapshot = commit(services, snapshot, decide)
    return _created(services, snapshot, request)


def create_due(services: Services, snapshot: Snapshot) -> Snapshot:
    """Create the rollback that a breach decided, or that a request did not get to create.

    The rollout is not over; where it was when the request came, only another request creates it.
    Raises LostRaceError, StorageUnavailableError, HubUnavailableError.
    """
    try:
        request = _request(services, snapshot, ITSELF)
    except ConflictError as error:
        return _without_rollback(services, snapshot, str(error))
    if _due_id(snapshot.rollout) is None:

        def choose(moment: Moment, stored: Snapshot) -> Change:
            rollback_id = services.new_id(moment.now)
            return Change(replace(stored.rollout, rollback=RollbackDue(rollback_id)))

        snapshot = commit(services, snapshot, choose)
    _created(services, snapshot, request)
    return services.stores.rollouts.get(snapshot.rollout.id) or snapshot


def _without_rollback(services: Services, snapshot: Snapshot, why: str) -> Snapshot:
    """There is nothing to bring back: say so, and let the rollout end."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        given_up = replace(stored.rollout, rollback=None)
        return Change(add_event(given_up, moment.now, "rollbackImpossible", why))

    return commit(services, snapshot, decide)


def _check(rollout: Rollout) -> None:
    if isinstance(rollout.rollback, RolledBack):
        by = rollout.rollback.rollback_id
        raise ConflictError(f"The rollout is already rolled back, by rollout {by}.")
    if rollout.resolution is not None or not rollout.counts.healthy:
        raise ConflictError(
            f"The rollout is {rollout.status}, and no device has completed: nothing to bring back."
        )


def _due_id(rollout: Rollout) -> str | None:
    due = rollout.rollback
    return due.rollback_id if isinstance(due, RollbackDue) else None


def _created(services: Services, snapshot: Snapshot, request: NewRollout) -> Creation:
    rollback_id = _due_id(snapshot.rollout)
    if rollback_id is None:
        raise LostRaceError(f"Rollout {snapshot.rollout.id} was rolled back by another request.")
    devices = _devices(services, request)
    try:
        creation = create_with_id(services, request, devices, rollback_id)
    except LostRaceError:  # somebody else created it in the meantime
        creation = _existing(services.stores.rollouts, rollback_id)

    def done(moment: Moment, stored: Snapshot) -> Change:
        named = replace(stored.rollout, rollback=RolledBack(rollback_id))
        message = f"Rollout {rollback_id} brings {len(request.versions)} devices back."
        return Change(add_event(named, moment.now, "rollbackCreated", f"{message}{request.remark}"))

    commit(services, snapshot, done)
    _log.info("rollout %s is rolled back by %s", snapshot.rollout.id, rollback_id)
    return creation


def _existing(store: RolloutStore, rollout_id: str) -> Creation:
    snapshot = store.get(rollout_id)
    if snapshot is None:
        raise LostRaceError(f"Rollout {rollout_id} is being created.")
    return Creation(rollout=snapshot.rollout, updates=(), is_new=True)


def _request(services: Services, snapshot: Snapshot, by: str) -> NewRollout:
    """The rollback as a request. Raises ConflictError when no device can be brought back."""
    rollout = snapshot.rollout
    earlier = earlier_firmware.find(services, snapshot)
    main = Counter(earlier.versions.values()).most_common(1)[0][0]
    others = [item for version, item in sorted(earlier.firmware.items()) if version != main]
    return NewRollout(
        firmware=earlier.firmware[main],
        earlier_firmware=tuple(others),
        strategy=_strategy(rollout.strategy, len(earlier.versions)),
        body_hash=hashlib.sha256(rollout.id.encode()).hexdigest(),
        device_ids=tuple(earlier.versions),
        versions=earlier.versions,
        labels=rollout.definition.labels,
        created_by=by,
        rollback_of=rollout.id,
        remark=earlier.left_out,
    )


def _strategy(undone: Strategy, devices: int) -> Strategy:
    """Its waves are spread over the versions that devices go back to."""
    gate = undone.failure_gate
    if gate.on_breach is OnBreach.ROLLBACK:  # which would bring back what is being undone
        gate = replace(gate, on_breach=OnBreach.PAUSE)
    return replace(undone, waves=fitting(undone.waves, devices), stratify_by=(), failure_gate=gate)


def _devices(services: Services, request: NewRollout) -> Devices:
    """The devices of a rollback: known already, each in the stratum of its version."""
    members = [TargetDevice(device, version) for device, version in request.versions.items()]
    if len(members) > MAX_CHECKED_BY_REQUEST:
        return Devices(members=members, complete=False)
    few = len(members) <= MAX_STARTED_BY_REQUEST
    twins = services.hub.read_twins(list(request.versions)) if few else {}
    found = {device: twin for device, twin in twins.items() if twin is not None}
    return Devices(members=members, twins=found)
