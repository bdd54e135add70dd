"""Records as the API shows them (contract, sections 3.1 and 3.2)."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import isodate

from functions.rollouts.model import (
    Counts,
    DeviceUpdate,
    Firmware,
    MethodAnswer,
    Reason,
    Rollout,
    RolloutStatus,
    Step,
    Strategy,
)
from functions.use_cases.read import Overview


def overview(item: Overview) -> dict[str, Any]:
    rollout = item.rollout
    return {
        "id": rollout.id,
        "status": rollout.status.value,
        "statusReason": _reason(rollout.status_reason),
        "firmware": _firmware(rollout.firmware),
        "target": {"deviceIds": list(rollout.device_ids)},
        "strategy": _strategy(rollout.strategy),
        "labels": dict(rollout.labels),
        "createdAt": _time(rollout.created_at),
        "startedAt": _time(rollout.started_at),
        "endedAt": _time(rollout.ended_at),
        "counts": _counts(item.counts),
        "waves": [_only_wave(rollout, item.counts)],
    }


def device_update(update: DeviceUpdate) -> dict[str, Any]:
    return {
        "deviceId": update.device_id,
        "wave": _ONLY_WAVE,
        "state": update.state.value,
        "attempt": update.attempt,
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


def device_update_in_full(update: DeviceUpdate) -> dict[str, Any]:
    return device_update(update) | {
        "explanation": update.explanation,
        "history": [_step(step) for step in update.history],
    }


def device_history(rollout: Rollout, update: DeviceUpdate) -> dict[str, Any]:
    """One entry of a device's history: its update, and which rollout that belongs to."""
    about = {
        "rolloutId": rollout.id,
        "rolloutStatus": rollout.status.value,
        "firmware": _firmware(rollout.firmware),
    }
    return about | device_update_in_full(update)


# Without waves in the strategy, the rest of the devices, that is all, are the one wave.
_ONLY_WAVE = "all"


def _only_wave(rollout: Rollout, counts: Counts) -> dict[str, Any]:
    ended = RolloutStatus.COMPLETED if rollout.status is RolloutStatus.COMPLETED else "failed"
    return {
        "name": _ONLY_WAVE,
        "size": counts.total,
        "status": str(ended) if rollout.status.ended else "running",
        "counts": _counts(counts),
        "startedAt": _time(rollout.started_at),
        "endedAt": _time(rollout.ended_at),
    }


def _firmware(firmware: Firmware) -> dict[str, Any]:
    return {
        "version": firmware.version,
        "packageUri": firmware.package_uri,
        "sha256": firmware.sha256,
        "sizeBytes": firmware.size_bytes,
    }


def _strategy(strategy: Strategy) -> dict[str, Any]:
    retry, offline = strategy.retry, strategy.offline
    return {
        "timeout": isodate.duration_isoformat(strategy.timeout),
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
    }


def _counts(counts: Counts) -> dict[str, int]:
    return asdict(counts)


def _method(answer: MethodAnswer | None) -> Mapping[str, Any] | None:
    return None if answer is None else {"status": answer.status, "payload": answer.payload}


def _reason(reason: Reason | None) -> Mapping[str, str] | None:
    return None if reason is None else {"code": reason.code, "message": reason.message}


def _step(step: Step) -> dict[str, Any]:
    return {
        "state": step.state.value,
        "attempt": step.attempt,
        "at": _time(step.at),
        "message": step.message,
    }


def _time(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    return None if time is None else f"{time.replace(tzinfo=None).isoformat('T', 'milliseconds')}Z"
