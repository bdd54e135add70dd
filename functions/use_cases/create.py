"""Create a rollout: check its devices, store it, and start a small one at once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from functions.errors import (
    FieldError,
    HubUnavailableError,
    InvalidError,
    StorageUnavailableError,
)
from functions.rollout_store import keys
from functions.rollout_store.port import KeyUse, Stored
from functions.rollouts.model import (
    DeviceTwin,
    DeviceUpdate,
    Firmware,
    Rollout,
    RolloutStatus,
    Step,
    Strategy,
)
from functions.use_cases import dispatch, idempotency
from functions.use_cases.services import Services

# A rollout of at most this many devices is started by the request itself, so that the caller
# sees each device's answer; a larger one is started by the timer, at the pace it sets.
STARTED_AT_ONCE_AT_MOST = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRollout:
    """What a caller asks for, valid as far as the request alone can tell."""

    firmware: Firmware
    device_ids: tuple[str, ...]
    strategy: Strategy
    labels: Mapping[str, str]
    body_hash: str  # of the request as it was sent, to tell a repeat from another request


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """`is_new` is False for the repeat of an earlier request with the same idempotency key."""

    rollout: Rollout
    updates: Sequence[DeviceUpdate]
    is_new: bool


def create(services: Services, request: NewRollout, key: str | None) -> Creation:
    """Create the rollout, or give back the one that `key` created.

    Raises InvalidError (ids the hub does not know), ConflictError (the key belongs to another
    request), InProgressError (to this one, still under way), HubUnavailableError,
    StorageUnavailableError. Nothing that anybody can see is stored then.
    """
    used = services.store.key_use(key) if key else None
    earlier = idempotency.earlier_rollout(services, used, request.body_hash)
    if earlier is not None:
        return _repeated(services, earlier)
    twins = _known_twins(services, request.device_ids)
    rollout, updates = _drafted_and_claimed(services, request, twins)
    if key:
        use = KeyUse(rollout_id=rollout.id, body_hash=request.body_hash, used_at=rollout.created_at)
        with idempotency.reserved(services, key, use, used) as renew:
            stored = services.store.add_updates(rollout.id, updates)
            renew()
            services.store.add_rollout(rollout)
    else:
        stored = services.store.add_updates(rollout.id, updates)
        services.store.add_rollout(rollout)
    _log.info("rollout %s created for %d devices", rollout.id, len(updates))
    if len(updates) > STARTED_AT_ONCE_AT_MOST:
        return Creation(rollout=rollout, updates=updates, is_new=True)
    return Creation(rollout=rollout, updates=_start(services, rollout, stored), is_new=True)


def _start(
    services: Services, rollout: Rollout, stored: Sequence[Stored[DeviceUpdate]]
) -> Sequence[DeviceUpdate]:
    claimed = [item for item in stored if item.record.claims]
    try:
        sent = {update.device_id: update for update in dispatch.send(services, rollout, claimed)}
    except StorageUnavailableError:
        # The rollout exists and its devices were asked: the timer finds out what they said.
        _log.exception("rollout %s: the outcome of its methods was not stored", rollout.id)
        sent = {}
    return [sent.get(item.record.device_id, item.record) for item in stored]


def _repeated(services: Services, rollout: Rollout) -> Creation:
    updates: Sequence[DeviceUpdate] = []
    if len(rollout.device_ids) <= STARTED_AT_ONCE_AT_MOST:
        updates = [item.record for item in services.store.updates(rollout.id)]
    return Creation(rollout=rollout, updates=updates, is_new=False)


def _known_twins(services: Services, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
    """The twins of all `device_ids`. Raises InvalidError that lists those without one."""
    found: dict[str, DeviceTwin | None] = {}
    if len(device_ids) > STARTED_AT_ONCE_AT_MOST:
        found |= services.hub.twins(device_ids)
    # A query may not know of a device that was registered a moment ago.
    missing = [device_id for device_id in device_ids if device_id not in found]
    found |= services.hub.fresh_twins(missing) if missing else {}
    if len(found) < len(device_ids):
        raise HubUnavailableError("The IoT Hub could not be asked about all of the devices.")
    unknown = [
        FieldError(f"/target/deviceIds/{number}", f"the hub knows no device {device_id!r}")
        for number, device_id in enumerate(device_ids)
        if found[device_id] is None
    ]
    if unknown:
        raise InvalidError(f"{len(unknown)} of the devices are unknown to the hub.", unknown)
    return {device_id: twin for device_id, twin in found.items() if twin is not None}


def _drafted_and_claimed(
    services: Services, request: NewRollout, twins: Mapping[str, DeviceTwin]
) -> tuple[Rollout, Sequence[DeviceUpdate]]:
    now = services.clock()
    rollout = Rollout(
        id=keys.new_rollout_id(now),
        status=RolloutStatus.RUNNING,
        firmware=request.firmware,
        device_ids=request.device_ids,
        strategy=request.strategy,
        labels=request.labels,
        created_at=now,
        started_at=now,
    )
    updates = [
        _with_first_step(DeviceUpdate(device_id=device_id, queued_at=now, updated_at=now))
        for device_id in request.device_ids
    ]
    if len(updates) <= STARTED_AT_ONCE_AT_MOST:
        engine = services.engine(rollout)
        updates = [
            dispatch.claim_in_turn(services.store, engine, update, twins[update.device_id])
            for update in updates
        ]
    return rollout, updates


def _with_first_step(update: DeviceUpdate) -> DeviceUpdate:
    first = Step(
        state=update.state,
        attempt=update.attempt,
        at=update.queued_at,
        message="The rollout was created.",
    )
    return replace(update, history=(first,))
