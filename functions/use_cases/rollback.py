"""Bring devices back to their earlier firmware, by a rollout with the same gates.

The rollback's id is stored in the rollout that it undoes before the rollback is created. So a
crash between the two cannot create it twice.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from functions.errors import ConflictError, LostRaceError
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import ITSELF, Identity
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollback import RollbackDue, RolledBack, package_key
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import OnBreach, OnConflict, Strategy, WhenAlreadyRunning
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.breach import is_rollback_due
from functions.rollouts.rollout.operator_commands import Caller
from functions.rollouts.rollout.start_order import fit_waves
from functions.use_cases import earlier_firmware, undone_devices
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


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """A rollback that is not created yet."""

    request: NewRollout
    left_out: str  # sentences about devices that are not brought back; may be empty


def roll_back(services: Services, rollout_id: str, caller: Caller) -> Creation:
    """Cancel the rollout if it is open, and create its rollback.

    A rollback that is over may be followed by another one, for the devices that it left.
    Raises UnknownError, ConflictError (no device can be brought back, or a rollback is open),
    LostRaceError (another request is creating the rollback), HubUnavailableError,
    StorageUnavailableError.
    """
    snapshot = get_snapshot(services.stores.rollouts, rollout_id)
    created = get_created(services.stores.rollouts, _due_id(snapshot.rollout))
    if created is not None:  # an earlier request crashed before it recorded this
        return _record_created(services, snapshot, created, "")
    _check_can_roll_back(services, snapshot.rollout)
    plan = plan_rollback(services, snapshot, caller.known_as)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        if stored.rollout.rollback != snapshot.rollout.rollback:
            _refuse_second(stored.rollout)
        rollback_id = _due_id(stored.rollout) or services.new_id(moment.now)
        return Change(operator_commands.roll_back(stored.rollout, moment.now, caller, rollback_id))

    decided = commit(services, snapshot, decide)
    return _create_rollback(services, decided, plan)


def create_due(services: Services, snapshot: Snapshot) -> Snapshot:
    """Create the rollback of an open rollout, after a breach or an interrupted request.

    If no device can be brought back, an event says so and the rollout ends without a rollback.
    Return the snapshot as stored. Raises LostRaceError, StorageUnavailableError,
    HubUnavailableError.
    """
    created = get_created(services.stores.rollouts, _due_id(snapshot.rollout))
    if created is not None:  # an earlier tick or request crashed before it recorded this
        _record_created(services, snapshot, created, "")
        return get_snapshot(services.stores.rollouts, snapshot.rollout.id)
    try:
        plan = plan_rollback(services, snapshot, ITSELF)
    except ConflictError as error:
        return _give_up(services, snapshot, str(error))

    def choose_id(moment: Moment, stored: Snapshot) -> Change | None:
        """Choose the id once: another tick may have chosen it, or created the rollback."""
        if stored.rollout.rollback != RollbackDue():
            return None
        rollback_id = services.new_id(moment.now)
        return Change(replace(stored.rollout, rollback=RollbackDue(rollback_id)))

    snapshot = commit(services, snapshot, choose_id)
    if is_rollback_due(snapshot.rollout):
        _create_rollback(services, snapshot, plan)
    return get_snapshot(services.stores.rollouts, snapshot.rollout.id)


def _give_up(services: Services, snapshot: Snapshot, why: str) -> Snapshot:
    def decide(moment: Moment, stored: Snapshot) -> Change | None:
        if not is_rollback_due(stored.rollout):  # another request has created the rollback
            return None
        rollout = replace(stored.rollout, rollback=None)
        return Change(add_event(rollout, moment.now, "rollbackImpossible", why))

    return commit(services, snapshot, decide)


def _check_can_roll_back(services: Services, rollout: Rollout) -> None:
    """Raise ConflictError if a rollback is open, or if no device can have completed."""
    if isinstance(rollout.rollback, RolledBack):
        earlier = services.stores.rollouts.get(rollout.rollback.rollback_id)
        if earlier is not None and not earlier.rollout.is_over:
            _refuse_second(rollout)
    counts = rollout.counts
    has_run = counts.healthy or counts.failed or rollout.status is RolloutStatus.CANCELLED
    if rollout.resolution is not None or not has_run:
        instead = "" if rollout.is_over else " Cancel it instead."
        raise ConflictError(
            f"The rollout is {rollout.status} and no device has completed: there is nothing to"
            f" bring back.{instead}"
        )


def _refuse_second(rollout: Rollout) -> None:
    """Raise ConflictError if the rollout has a rollback, which is open."""
    if isinstance(rollout.rollback, RolledBack):
        rollback_id = rollout.rollback.rollback_id
        raise ConflictError(
            f"The rollout is already being rolled back by rollout {rollback_id}. Wait until that"
            " has ended, or cancel it; then roll back the devices that are left."
        )


def _due_id(rollout: Rollout) -> str | None:
    due = rollout.rollback
    return due.rollback_id if isinstance(due, RollbackDue) else None


def _create_rollback(services: Services, snapshot: Snapshot, plan: RollbackPlan) -> Creation:
    """Create the rollback under its stored id, and record it in the rollout that it undoes."""
    rollback_id = _due_id(snapshot.rollout)
    if rollback_id is None:
        raise LostRaceError(f"Rollout {snapshot.rollout.id} was rolled back by another request.")
    creation = create_with_plan(services, plan, rollback_id)
    return _record_created(services, snapshot, creation, plan.left_out)


def create_with_plan(services: Services, plan: RollbackPlan, rollback_id: str) -> Creation:
    """Create the rollback under this id, or return it if another request or tick has."""
    found = _find_devices(services, plan.request)
    try:
        return create_with_id(services, plan.request, found, rollback_id)
    except LostRaceError:
        created = get_created(services.stores.rollouts, rollback_id)
        if created is None:
            raise
        return created


def get_created(store: RolloutStore, rollback_id: str | None) -> Creation | None:
    """Return the rollback with this id, or None if it does not exist."""
    snapshot = store.get(rollback_id) if rollback_id else None
    return Creation(rollout=snapshot.rollout, updates=(), is_new=True) if snapshot else None


def _record_created(
    services: Services, undone: Snapshot, creation: Creation, left_out: str
) -> Creation:
    """Record the rollback in the rollout that it undoes. Return the creation."""
    rollback = creation.rollout

    def record(moment: Moment, stored: Snapshot) -> Change | None:
        if stored.rollout.rollback != RollbackDue(rollback.id):  # recorded by another request
            return None
        rollout = replace(stored.rollout, rollback=RolledBack(rollback.id))
        devices = texts.count(rollback.counts.total, "device")
        message = f"Rollout {rollback.id} brings {devices} back.{left_out}"
        return Change(add_event(rollout, moment.now, "rollbackCreated", message))

    commit(services, undone, record)
    _log.info("rollout %s: rolled back by rollout %s", undone.rollout.id, rollback.id)
    return creation


def plan_rollback(
    services: Services,
    snapshot: Snapshot,
    created_by: Identity,
    strata: Collection[int] | None = None,
) -> RollbackPlan:
    """Plan the rollback, of all devices or those of `strata`.

    Raises ConflictError if no device can be brought back.
    """
    rollout = snapshot.rollout
    by_caller = created_by != ITSELF
    devices = undone_devices.find(services, snapshot, by_caller=by_caller, strata=strata)
    earlier = earlier_firmware.find(services, rollout, devices)
    ranked = [item for item, _ in Counter(earlier.firmware.values()).most_common()]
    packages = [ranked[0], *sorted(ranked[1:], key=lambda item: item.version)]
    keys = _name_packages(packages)
    return RollbackPlan(
        NewRollout(
            firmware=packages[0],
            earlier_firmware=tuple(packages[1:]),
            strategy=_make_strategy(rollout.strategy, len(earlier.firmware)),
            body_hash=hashlib.sha256(rollout.id.encode()).hexdigest(),
            device_ids=tuple(earlier.firmware),
            package_keys={name: keys[item] for name, item in earlier.firmware.items()},
            labels=rollout.definition.labels,
            created_by=created_by,
            rollback_of=rollout.id,
            remark=earlier.left_out + earlier.by_name,
        ),
        earlier.left_out,
    )


def _name_packages(packages: Sequence[Firmware]) -> Mapping[Firmware, str]:
    """Return the key of each package: its version, and which package of that version."""
    keys: dict[Firmware, str] = {}
    numbers: Counter[str] = Counter()
    for item in packages:
        keys[item] = package_key(item.version, numbers[item.version])
        numbers[item.version] += 1
    return keys


def _make_strategy(undone: Strategy, devices: int) -> Strategy:
    """Make the rollback's strategy from that of the rollout that it undoes.

    The waves are spread over the versions that the devices are brought back to. A breach pauses:
    a rollback of the rollback would bring back the firmware that is being undone, and a cancel
    would leave the other devices on it. Devices that run their earlier version are back already.
    """
    gate = replace(undone.failure_gate, on_breach=OnBreach.PAUSE)
    return replace(
        undone,
        waves=fit_waves(undone.waves, devices),
        stratify_by=(),
        failure_gate=gate,
        on_conflict=OnConflict.SUPERSEDE,
        when_already_running=WhenAlreadyRunning.SKIP,
    )


def _find_devices(services: Services, request: NewRollout) -> FoundDevices:
    """Return the devices of the rollback, each with its package as its stratum."""
    devices = [TargetDevice(device, key) for device, key in request.package_keys.items()]
    if len(devices) > MAX_CHECKED_BY_REQUEST:
        return FoundDevices(devices=devices, complete=False)
    small = len(devices) <= MAX_STARTED_BY_REQUEST
    twins = services.hub.read_twins(list(request.package_keys)) if small else {}
    known = {device: twin for device, twin in twins.items() if twin is not None}
    return FoundDevices(devices=devices, twins=known)
