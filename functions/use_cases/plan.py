"""What a rollout would do, without doing it; and a hash by which a create can hold to it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.forecast import Forecast, forecast, quota_minimum
from functions.use_cases import draft, target_devices
from functions.use_cases.new_rollout import refuse_expired_manifest
from functions.use_cases.services import Services
from functions.use_cases.target_devices import Devices, make_condition_error

MAX_EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Devices of the target that an open rollout has too, also those that have ended in it.

    One that it is updating when its turn comes is waited for.
    """

    rollout_id: str
    devices: int
    examples: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`exact` is False where the target is larger than what a request may query of the hub:

    then `devices` is the hub's count, and only the first of them were looked at for conflicts.
    """

    devices: int
    exact: bool
    waves: Sequence[Wave]
    conflicts: Sequence[Conflict]
    forecast: Forecast
    quota_minimum_seconds: float
    plan_hash: str


def plan(services: Services, request: NewRollout) -> Plan:
    """Raises InvalidError, HubUnavailableError, StorageUnavailableError, as a create would."""
    refuse_expired_manifest(request, services.clock())
    return make_plan(services, request, target_devices.find(services.hub, request))


def make_plan(services: Services, request: NewRollout, devices: Devices) -> Plan:
    """The plan for devices that were found already."""
    exact = devices.cursor is None
    total = len(devices.members) if exact else _count(services, request)
    waves = draft.make_waves(request, total)
    conflicts = _conflicts(services, devices)
    return Plan(
        devices=total,
        exact=exact,
        waves=waves,
        conflicts=conflicts,
        forecast=forecast(waves, request.strategy, services.limits),
        quota_minimum_seconds=quota_minimum(total, services.limits).total_seconds(),
        plan_hash=_hash(request, devices, total, waves, conflicts),
    )


def _count(services: Services, request: NewRollout) -> int:
    try:
        return services.hub.count_matching(request.condition or "")
    except ConditionError as error:
        raise make_condition_error(str(error)) from error


def _conflicts(services: Services, devices: Devices) -> Sequence[Conflict]:
    mine = {member.device_id for member in devices.members}
    found = []
    for rollout_id in services.stores.rollouts.list_open_ids():
        snapshot = services.stores.rollouts.get(rollout_id)
        if snapshot is None or snapshot.rollout.is_over:
            continue
        shared = sorted(mine.intersection(services.stores.rollouts.list_device_ids(snapshot)))
        if shared:
            examples = shared[:MAX_EXAMPLES]
            found.append(Conflict(rollout_id=rollout_id, devices=len(shared), examples=examples))
    return found


def _hash(
    request: NewRollout,
    devices: Devices,
    total: int,
    waves: Sequence[Wave],
    conflicts: Sequence[Conflict],
) -> str:
    """The same for the same devices, firmware, strategy and conflicts, in every process."""
    digest = hashlib.sha256()
    for device_id in sorted(member.device_id for member in devices.members):
        digest.update(device_id.encode() + b"\n")
    known: Any = [
        total,
        digest.hexdigest(),
        asdict(request.firmware),
        asdict(request.strategy),
        request.condition,
        request.start_at,
        [(wave.name, wave.size) for wave in waves],
        [(conflict.rollout_id, conflict.devices) for conflict in conflicts],
    ]
    text = json.dumps(known, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
