"""Plan a rollout without creating it, with a hash that a create can send back."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.forecast import Forecast, forecast, quota_minimum
from functions.use_cases import (
    catalogue,
    draft,
    firmware_warnings,
    freeze,
    plan_warnings,
    target_devices,
)
from functions.use_cases.conflicts import (
    Shared,
    count_superseded,
    find_earlier,
)
from functions.use_cases.new_rollout import refuse_expired_firmware
from functions.use_cases.plan_warnings import PlanWarning
from functions.use_cases.planned_versions import find_versions
from functions.use_cases.services import Services
from functions.use_cases.target_devices import (
    FoundDevices,
    make_condition_error,
)

MAX_EXAMPLES = 10
_HASH_CHARACTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Devices of the target that another open rollout has too, in any state.

    The other rollout skips those that it has not started. While it updates a device, the new one
    waits.
    """

    rollout_id: str  # the other rollout
    devices: int
    examples: Sequence[str]  # up to MAX_EXAMPLES device ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a create with the same request would do."""

    # False: the target has more devices than a request may query, or is resolved later. Then
    # `devices` is the hub's own count, and only the first devices were checked for conflicts.
    exact: bool
    devices: int
    waves: Sequence[Wave]
    conflicts: Sequence[Conflict]
    superseded: int  # devices that are queued in open rollouts, which will skip them
    forecast: Forecast
    quota_minimum_seconds: float  # the hub's quotas do not allow a shorter rollout
    plan_hash: str
    warnings: Sequence[PlanWarning]
    # Devices that report the requested version, or a higher one. None: unknown.
    already_running: int | None = None
    downgrades: int | None = None


def plan(services: Services, request: NewRollout) -> Plan:
    """Find the devices of the request and plan its rollout.

    Raises InvalidError, HubUnavailableError and StorageUnavailableError as a create does.
    """
    request = catalogue.complete(services.stores.catalogue, request)
    refuse_expired_firmware(request, services.clock())
    found = target_devices.find(services.hub, request)
    planned = make_plan(services, request, found)
    warnings = [
        *planned.warnings,
        *firmware_warnings.warn_of_small_canary(request, planned.waves),
        *firmware_warnings.warn_of_package(services, request.firmware, planned.devices),
        *plan_warnings.warn_of_unknown(services.hub, request),
    ]
    running = find_versions(services.hub, request, found)
    if running is None:
        return replace(planned, warnings=warnings)
    return replace(
        planned,
        already_running=running.already_running,
        downgrades=running.downgrades,
        warnings=[
            *warnings,
            *plan_warnings.warn_of_downgrades(request, running),
            *firmware_warnings.warn_of_versions(services, request, running, planned.devices),
        ],
    )


def make_plan(services: Services, request: NewRollout, found: FoundDevices) -> Plan:
    """Plan a rollout of the devices that were found, without their versions. Raises as `plan`."""
    is_complete = found.cursor is None
    total = len(found.devices) if is_complete else _count_matching(services, request)
    is_later = request.is_resolved_later(services.clock())
    waves = draft.make_waves(request, total)
    open_ids = services.stores.rollouts.list_open_ids()
    open_rollouts = find_earlier(services, open_ids, None, found.device_ids)
    supersession = count_superseded(services.stores, open_rollouts)
    conflicts = [_make_conflict(shared) for shared in open_rollouts if shared.devices]
    latest = freeze.read_latest(services)
    return Plan(
        devices=total,
        exact=is_complete and not is_later,
        waves=waves,
        conflicts=conflicts,
        superseded=supersession.devices,
        forecast=forecast(waves, request.strategy, services.limits),
        quota_minimum_seconds=quota_minimum(total, services.limits).total_seconds(),
        plan_hash=_hash(request, found, total, waves, conflicts),
        warnings=[
            *(plan_warnings.warn_of_later_target(total) if is_later else ()),
            *(plan_warnings.warn_of_joiners(services, waves, total) if request.joiners else ()),
            *plan_warnings.warn_of_empty_waves(request, waves, total),
            *plan_warnings.warn_of_strata(request, found),
            *plan_warnings.warn_of_superseded(supersession),
            *plan_warnings.warn_of_quarantine(services, request.rollback_of, found.device_ids),
            *plan_warnings.warn_of_freeze(services, latest, found.device_ids, total),
            *plan_warnings.warn_of_updating(services, open_rollouts),
            *plan_warnings.warn_of_refusal(services, request, found),
        ],
    )


def _count_matching(services: Services, request: NewRollout) -> int:
    try:
        return services.hub.count_matching(request.condition or "")
    except ConditionError as error:
        raise make_condition_error(str(error)) from error


def _make_conflict(shared: Shared) -> Conflict:
    devices = sorted(shared.devices)
    return Conflict(
        rollout_id=shared.rollout.id, devices=len(devices), examples=devices[:MAX_EXAMPLES]
    )


def _hash(
    request: NewRollout,
    found: FoundDevices,
    total: int,
    waves: Sequence[Wave],
    conflicts: Sequence[Conflict],
) -> str:
    """Hash the devices, firmware, strategy, waves and conflicts; the same in every process."""
    device_digest = hashlib.sha256()
    for device_id in sorted(device.device_id for device in found.devices):
        device_digest.update(device_id.encode() + b"\n")
    hashed: Any = [
        total,
        device_digest.hexdigest(),
        asdict(request.firmware),
        asdict(request.strategy),
        request.condition,
        *(["joiners"] if request.joiners else []),
        request.start_at,
        [(wave.name, wave.size) for wave in waves],
        [(conflict.rollout_id, conflict.devices) for conflict in conflicts],
    ]
    text = json.dumps(hashed, sort_keys=True, default=_to_json)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]


def _to_json(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)
