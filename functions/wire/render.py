"""Records as the API shows them (docs/api.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import isodate

from functions.rollouts.model import package_uri
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Day, Share, Strategy, WavePlan, Window
from functions.rollouts.model.wave import Counts, Wave
from functions.use_cases.create import Creation
from functions.use_cases.plan import Plan
from functions.use_cases.read import Explained

_WEEK = list(Day)


def overview(rollout: Rollout, device_ids: Sequence[str] | None = None) -> dict[str, Any]:
    """A rollout; `device_ids` are those of its target, where they were listed and are few."""
    return {
        "id": rollout.id,
        "status": rollout.status.value,
        "statusReason": _reason(rollout.status_reason),
        "firmware": _firmware(rollout.firmware),
        "target": _target(rollout, device_ids),
        "strategy": strategy(rollout.strategy),
        "labels": dict(rollout.definition.labels),
        "createdAt": _time(rollout.definition.created_at),
        "startAt": _time(rollout.definition.start_at),
        "startedAt": _time(rollout.started_at),
        "endedAt": _time(rollout.ended_at),
        "counts": _counts(rollout.counts),
        "waves": [_wave(wave) for wave in rollout.waves],
        "rollbackOf": rollout.definition.rollback_of,
        "rolledBackBy": _rolled_back_by(rollout),
    }


def _rolled_back_by(rollout: Rollout) -> str | None:
    rollback = rollout.rollback
    return rollback.rollback_id if isinstance(rollback, RolledBack) else None


def creation(created: Creation) -> dict[str, Any]:
    """A new rollout, with its devices if they were started at once."""
    rollout, updates = created.rollout, created.updates
    if not updates:
        return overview(rollout)
    listed = rollout.definition.target.condition is None
    body = overview(rollout, [update.device_id for update in updates] if listed else None)
    return body | {"devices": [device_update(update, rollout) for update in updates]}


def plan(planned: Plan) -> dict[str, Any]:
    expected = planned.forecast
    return {
        "devices": planned.devices,
        "exact": planned.exact,
        "waves": [
            {"name": wave.name, "size": wave.size, "approval": wave.approval}
            for wave in planned.waves
        ],
        "conflicts": [
            {
                "rolloutId": conflict.rollout_id,
                "devices": conflict.devices,
                "examples": list(conflict.examples),
            }
            for conflict in planned.conflicts
        ],
        "expectedDuration": isodate.duration_isoformat(expected.duration),
        "quotaMinimumSeconds": round(planned.quota_minimum_seconds, 1),
        "limitedBy": expected.limited_by,
        "hubMessages": expected.messages,
        "planHash": planned.plan_hash,
    }


def device_update(update: DeviceUpdate, rollout: Rollout) -> dict[str, Any]:
    return {
        "deviceId": update.device_id,
        "wave": rollout.waves[update.wave].name,
        "state": update.state.value,
        "attempt": update.attempt,
        "version": rollout.firmware_for(update).version,
        "method": _method(update.method),
        "firmwareStatus": update.firmware_status,
        "progressPercent": update.progress_percent,
        "error": _reason(update.error),
        "previousVersion": update.previous_version,
        "queuedAt": _time(update.queued_at),
        "dispatchedAt": _time(update.dispatched_at),
        "updatedAt": _time(update.updated_at),
        "endedAt": _time(update.ended_at),
    }


def device_update_in_full(found: Explained) -> dict[str, Any]:
    return device_update(found.update, found.rollout) | {
        "explanation": found.explanation,
        "history": [_step(step) for step in found.update.history],
    }


def device_history(found: Explained) -> dict[str, Any]:
    """One entry of a device's history: its update, and which rollout that belongs to."""
    about = {
        "rolloutId": found.rollout.id,
        "rolloutStatus": found.rollout.status.value,
        "firmware": _firmware(found.rollout.firmware_for(found.update)),
    }
    return about | device_update_in_full(found)


def event(line: Event) -> dict[str, Any]:
    return {"at": _time(line.at), "action": line.action, "by": line.by, "message": line.message}


def strategy(value: Strategy) -> dict[str, Any]:
    """The strategy with all its defaults, as a create would take it."""
    gate, retry, offline = value.failure_gate, value.retry, value.offline
    return {
        "waves": [_wave_plan(plan) for plan in value.waves],
        "successShare": str(value.success_share),
        "failureGate": {
            "acceptable": str(gate.acceptable),
            "unacceptable": str(gate.unacceptable),
            "confidence": gate.confidence,
            "onBreach": gate.on_breach.value,
        },
        "stratifyBy": list(value.stratify_by),
        "soak": isodate.duration_isoformat(value.soak) if value.soak else "PT0S",
        "maxInFlight": value.max_in_flight,
        "timeout": isodate.duration_isoformat(value.timeout),
        "retry": {
            "attempts": retry.attempts,
            "on": sorted(retry.on),
            "initialDelay": isodate.duration_isoformat(retry.initial_delay),
            "maxDelay": isodate.duration_isoformat(retry.max_delay),
        },
        "offline": {
            "policy": offline.policy.value,
            "deadline": isodate.duration_isoformat(offline.deadline),
        },
        "window": None if value.window is None else _window(value.window),
    }


def _target(rollout: Rollout, device_ids: Sequence[str] | None) -> dict[str, Any]:
    if rollout.definition.target.condition is not None:
        return {"condition": rollout.definition.target.condition}
    if device_ids is not None:
        return {"deviceIds": list(device_ids)}
    return {"deviceCount": rollout.counts.total}


def _wave(wave: Wave) -> dict[str, Any]:
    return {
        "name": wave.name,
        "size": wave.size,
        "approval": wave.approval,
        "status": wave.status.value,
        "counts": _counts(wave.counts),
        "startedAt": _time(wave.started_at),
        "endedAt": _time(wave.ended_at),
    }


def _wave_plan(wave: WavePlan) -> dict[str, Any]:
    size = str(wave.size) if isinstance(wave.size, Share) else wave.size
    named = {} if wave.name is None else {"name": wave.name}
    return named | {"size": size, "approval": wave.approval}


def _window(window: Window) -> dict[str, Any]:
    return {
        "start": f"{window.start:%H:%M}",
        "end": f"{window.end:%H:%M}",
        "days": [day.value for day in _WEEK if day in window.days],
        "timezone": window.timezone,
    }


def _firmware(firmware: Firmware) -> dict[str, Any]:
    return {
        "version": firmware.version,
        "packageUri": package_uri.shown(firmware.package_uri),
        "sha256": firmware.sha256,
        "sizeBytes": firmware.size_bytes,
        "manifest": firmware.manifest,
    }


def _counts(counts: Counts) -> dict[str, int]:
    """A soaking device is not done, so it counts as updating."""
    known = {"total": counts.total, **asdict(counts)}
    known["updating"] += known.pop("soaking")
    return known


def _method(answer: MethodResponse | None) -> Mapping[str, Any] | None:
    return None if answer is None else {"status": answer.status, "payload": answer.payload}


def _reason(reason: Reason | None) -> Mapping[str, str] | None:
    return None if reason is None else {"code": reason.code, "message": reason.message}


def _step(step: HistoryEntry) -> dict[str, Any]:
    return {
        "state": step.state.value,
        "attempt": step.attempt,
        "at": _time(step.at),
        "message": step.message,
    }


def _time(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    return None if time is None else f"{time.replace(tzinfo=None).isoformat('T', 'milliseconds')}Z"
