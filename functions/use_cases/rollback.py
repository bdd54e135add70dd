"""Bring each completed device back to its earlier firmware, by a rollout with the same gates.

The rollback's id is stored in the rollout that it undoes before the rollback is created. So a
crash between the two cannot create it twice. The catalogue knows the firmware of earlier rollouts.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import replace

from functions.errors import ConflictError, LostRaceError
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import ITSELF, add_event
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import OnBreach, Strategy
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.breach import is_rollback_due
from functions.rollouts.rollout.operator_commands import Caller
from functions.rollouts.rollout.start_order import fit_waves
from functions.use_cases import earlier_firmware
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import Creation, create_with_id
from functions.use_cases.read import get_snapshot
from functions.use_cases.services import Services
from functions.use_cases.target_devices import (
    MAX_CHECKED_BY_REQUEST,
    MAX_STARTED_BY_REQUEST,
    FoundDevices,
)

_log = logging.getLogger(__name__)


def roll_back(services: Services, rollout_id: str, caller: Caller) -> Creation:
    """Cancel the rollout if it is open, and create its rollback.

    Raises UnknownError, ConflictError (no device can be brought back, or the rollout is rolled back
    already), LostRaceError (another request is creating the rollback), HubUnavailableError,
    StorageUnavailableError.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    _check_can_roll_back(snapshot.rollout)
    request = _make_request(services, snapshot, caller.name)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        _check_can_roll_back(stored.rollout)
        rollback_id = _due_id(stored.rollout) or services.new_id(moment.now)
        return Change(operator_commands.roll_back(stored.rollout, moment.now, caller, rollback_id))

    snapshot = commit(services, snapshot, decide)
    return _create_rollback(services, snapshot, request)


def create_due(services: Services, snapshot: Snapshot) -> Snapshot:
    """Create the rollback of an open rollout, after a breach or an interrupted request.

    If no device can be brought back, an event says so and the rollout ends without a rollback.
    Return the snapshot as stored. Raises LostRaceError, StorageUnavailableError,
    HubUnavailableError.
    """
    try:
        request = _make_request(services, snapshot, ITSELF)
    except ConflictError as error:
        return _give_up(services, snapshot, str(error))

    def choose_id(moment: Moment, stored: Snapshot) -> Change | None:
        """Choose the id once: another tick may have chosen it, or created the rollback."""
        if stored.rollout.rollback != RollbackDue():
            return None
        rollback_id = services.new_id(moment.now)
        return Change(replace(stored.rollout, rollback=RollbackDue(rollback_id)))

    snapshot = commit(services, snapshot, choose_id)
    if not is_rollback_due(snapshot.rollout):
        return snapshot
    _create_rollback(services, snapshot, request)
    return services.stores.rollouts.get(snapshot.rollout.id) or snapshot


def _give_up(services: Services, snapshot: Snapshot, why: str) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        if not is_rollback_due(stored.rollout):  # another request has created the rollback
            return None
        rollout = replace(stored.rollout, rollback=None)
        return Change(add_event(rollout, moment.now, "rollbackImpossible", why))

    return commit(services, snapshot, decide)


def _check_can_roll_back(rollout: Rollout) -> None:
    """Raise ConflictError if the rollout is rolled back, or has no healthy device."""
    if isinstance(rollout.rollback, RolledBack):
        rollback_id = rollout.rollback.rollback_id
        raise ConflictError(f"The rollout is already rolled back by rollout {rollback_id}.")
    if rollout.resolution is not None or not rollout.counts.healthy:
        raise ConflictError(
            f"The rollout is {rollout.status} and no device has completed: there is nothing to"
            " bring back."
        )


def _due_id(rollout: Rollout) -> str | None:
    due = rollout.rollback
    return due.rollback_id if isinstance(due, RollbackDue) else None


def _create_rollback(services: Services, snapshot: Snapshot, request: NewRollout) -> Creation:
    """Create the rollback under its stored id, and record it in the rollout that it undoes."""
    rollback_id = _due_id(snapshot.rollout)
    if rollback_id is None:
        raise LostRaceError(f"Rollout {snapshot.rollout.id} was rolled back by another request.")
    found = _find_devices(services, request)
    try:
        creation = create_with_id(services, request, found, rollback_id)
    except LostRaceError:  # another request or tick has created it
        creation = _get_created(services.stores.rollouts, rollback_id)

    def record(moment: Moment, stored: Snapshot) -> Change:
        rollout = replace(stored.rollout, rollback=RolledBack(rollback_id))
        devices = texts.count(len(request.versions), "device")
        message = f"Rollout {rollback_id} brings {devices} back.{request.remark}"
        return Change(add_event(rollout, moment.now, "rollbackCreated", message))

    commit(services, snapshot, record)
    _log.info("rollout %s: rolled back by rollout %s", snapshot.rollout.id, rollback_id)
    return creation


def _get_created(store: RolloutStore, rollout_id: str) -> Creation:
    snapshot = store.get(rollout_id)
    if snapshot is None:
        raise LostRaceError(f"Rollout {rollout_id} is being created by another request.")
    return Creation(rollout=snapshot.rollout, updates=(), is_new=True)


def _make_request(services: Services, snapshot: Snapshot, created_by: str) -> NewRollout:
    """Make the request for the rollback. Raises ConflictError if no device can be brought back."""
    rollout = snapshot.rollout
    earlier = earlier_firmware.find(services, snapshot)
    main = Counter(earlier.versions.values()).most_common(1)[0][0]
    others = [item for version, item in sorted(earlier.firmware.items()) if version != main]
    return NewRollout(
        firmware=earlier.firmware[main],
        earlier_firmware=tuple(others),
        strategy=_make_strategy(rollout.strategy, len(earlier.versions)),
        body_hash=hashlib.sha256(rollout.id.encode()).hexdigest(),
        device_ids=tuple(earlier.versions),
        versions=earlier.versions,
        labels=rollout.definition.labels,
        created_by=created_by,
        rollback_of=rollout.id,
        remark=earlier.left_out,
    )


def _make_strategy(undone: Strategy, devices: int) -> Strategy:
    """Make the rollback's strategy from that of the rollout that it undoes.

    The waves are spread over the versions that the devices are brought back to. A breach pauses:
    a rollback of the rollback would bring back the firmware that is being undone, and a cancel
    would leave the other devices on it.
    """
    gate = replace(undone.failure_gate, on_breach=OnBreach.PAUSE)
    return replace(
        undone, waves=fit_waves(undone.waves, devices), stratify_by=(), failure_gate=gate
    )


def _find_devices(services: Services, request: NewRollout) -> FoundDevices:
    """Return the devices of the rollback, each with its version as its stratum."""
    devices = [TargetDevice(device, version) for device, version in request.versions.items()]
    if len(devices) > MAX_CHECKED_BY_REQUEST:
        return FoundDevices(devices=devices, complete=False)
    small = len(devices) <= MAX_STARTED_BY_REQUEST
    twins = services.hub.read_twins(list(request.versions)) if small else {}
    known = {device: twin for device, twin in twins.items() if twin is not None}
    return FoundDevices(devices=devices, twins=known)
