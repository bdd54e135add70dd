"""Rows and records: what a table row of each kind holds, both ways, as plain functions.

Plain values have their own columns, so that the table can be read by people and filtered; what
is nested is JSON in one column.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollout_store import keys
from functions.rollout_store.port import Hold, KeyUse
from functions.rollout_store.table import Row
from functions.rollouts.model import (
    Baseline,
    Counts,
    DeviceState,
    DeviceUpdate,
    Firmware,
    MethodAnswer,
    Offline,
    OfflinePolicy,
    Reason,
    Retry,
    RetryOn,
    Rollout,
    RolloutStatus,
    Step,
    Strategy,
)

# A string column holds 64 KiB in UTF-16 (Microsoft Learn, "Understanding the Table service data
# model"), so 32,768 characters; one outside the basic plane counts twice.
COLUMN_CHARACTERS = 32_000
# What a device answered to its method may be 128 KB; the beginning will do.
PAYLOAD_CHARACTERS = 4_000
HISTORY_CHARACTERS = 16_000


def rollout_to_row(rollout: Rollout) -> Row:
    return {
        "PartitionKey": keys.ROLLOUTS,
        "RowKey": rollout.id,
        "status": rollout.status.value,
        "open": not rollout.status.ended,
        "firmware": _firmware_to_json(rollout.firmware),
        "createdAt": _text(rollout.created_at),
        "startedAt": _text(rollout.started_at),
        "endedAt": _text(rollout.ended_at),
        "labels": _json(dict(rollout.labels)),
        "strategy": json.dumps(_strategy_to_json(rollout.strategy)),
        "statusReason": _reason_to_json(rollout.status_reason),
        "finalCounts": _counts_to_json(rollout.final_counts),
        **_chunks("deviceIds", json.dumps(rollout.device_ids)),
    }


def rollout_from_row(row: Mapping[str, Any]) -> Rollout:
    counts = row.get("finalCounts")
    return Rollout(
        id=row["RowKey"],
        status=RolloutStatus(row["status"]),
        firmware=_firmware_from_json(row["firmware"]),
        device_ids=tuple(json.loads(_joined("deviceIds", row))),
        strategy=_strategy_from_json(json.loads(row["strategy"])),
        labels=json.loads(row["labels"]),
        created_at=_time(row["createdAt"]),
        started_at=_time(row["startedAt"]),
        ended_at=_optional_time(row.get("endedAt")),
        status_reason=_reason_from_json(row.get("statusReason")),
        final_counts=Counts(**json.loads(counts)) if counts else None,
    )


def update_to_row(rollout_id: str, update: DeviceUpdate) -> Row:
    return {
        "PartitionKey": keys.updates_partition(rollout_id),
        "RowKey": keys.device_row(update.device_id),
        "deviceId": update.device_id,
        "state": update.state.value,
        "attempt": update.attempt,
        "claims": update.claims,
        "tries": update.tries,
        "delays": update.delays,
        "notBefore": _text(update.not_before),
        "inDoubt": update.in_doubt,
        "seenOffline": update.seen_offline,
        "baselineStatusAt": _text(update.baseline.status_at),
        "baselineUpdateAt": _text(update.baseline.update_at),
        "baselineLastUpdate": update.baseline.last_update,
        "recognisesRepeats": update.baseline.recognises_repeats,
        "methodStatus": update.method.status if update.method else None,
        "methodPayload": _payload_to_json(update.method.payload) if update.method else None,
        "firmwareStatus": update.firmware_status,
        "progressPercent": update.progress_percent,
        "error": _reason_to_json(update.error),
        "previousVersion": update.previous_version,
        "queuedAt": _text(update.queued_at),
        "dispatchedAt": _text(update.dispatched_at),
        "claimedAt": _text(update.claimed_at),
        "acceptedAt": _text(update.accepted_at),
        "updatedAt": _text(update.updated_at),
        "endedAt": _text(update.ended_at),
        "explanation": update.explanation,
        "history": _history_to_json(update.history),
    }


def update_from_row(row: Mapping[str, Any]) -> DeviceUpdate:
    status = row.get("methodStatus")
    return DeviceUpdate(
        device_id=row["deviceId"],
        state=DeviceState(row["state"]),
        attempt=row["attempt"],
        claims=row["claims"],
        tries=row["tries"],
        delays=row["delays"],
        not_before=_optional_time(row.get("notBefore")),
        in_doubt=row["inDoubt"],
        seen_offline=row["seenOffline"],
        baseline=Baseline(
            status_at=_optional_time(row.get("baselineStatusAt")),
            update_at=_optional_time(row.get("baselineUpdateAt")),
            last_update=row.get("baselineLastUpdate"),
            recognises_repeats=row["recognisesRepeats"],
        ),
        method=None
        if status is None
        else MethodAnswer(status=status, payload=json.loads(row["methodPayload"])),
        firmware_status=row.get("firmwareStatus"),
        progress_percent=row.get("progressPercent"),
        error=_reason_from_json(row.get("error")),
        previous_version=row.get("previousVersion"),
        queued_at=_time(row["queuedAt"]),
        dispatched_at=_optional_time(row.get("dispatchedAt")),
        claimed_at=_optional_time(row.get("claimedAt")),
        accepted_at=_optional_time(row.get("acceptedAt")),
        updated_at=_time(row["updatedAt"]),
        ended_at=_optional_time(row.get("endedAt")),
        explanation=row["explanation"],
        history=_history_from_json(row["history"]),
    )


def history_to_row(rollout_id: str, device_id: str) -> Row:
    return {
        "PartitionKey": keys.history_partition(device_id),
        "RowKey": keys.history_row(device_id, rollout_id),
        "deviceId": device_id,
        "rolloutId": rollout_id,
    }


def hold_to_row(device_id: str, hold: Hold) -> Row:
    return {
        "PartitionKey": keys.hold_partition(device_id),
        "RowKey": keys.device_row(device_id),
        "rolloutId": hold.rollout_id,
        "takenAt": _text(hold.taken_at),
    }


def hold_from_row(row: Mapping[str, Any]) -> Hold:
    return Hold(rollout_id=row["rolloutId"], taken_at=_time(row["takenAt"]))


def key_use_to_row(key: str, use: KeyUse) -> Row:
    return {
        "PartitionKey": keys.idempotency_partition(key),
        "RowKey": keys.idempotency_row(key),
        "rolloutId": use.rollout_id,
        "bodyHash": use.body_hash,
        "usedAt": _text(use.used_at),
    }


def key_use_from_row(row: Mapping[str, Any]) -> KeyUse:
    return KeyUse(
        rollout_id=row["rolloutId"], body_hash=row["bodyHash"], used_at=_time(row["usedAt"])
    )


def _firmware_to_json(firmware: Firmware) -> str:
    return json.dumps(
        {
            "version": firmware.version,
            "packageUri": firmware.package_uri,
            "sha256": firmware.sha256,
            "sizeBytes": firmware.size_bytes,
        }
    )


def _firmware_from_json(text: str) -> Firmware:
    value = json.loads(text)
    return Firmware(
        version=value["version"],
        package_uri=value["packageUri"],
        sha256=value["sha256"],
        size_bytes=value["sizeBytes"],
    )


def _strategy_to_json(strategy: Strategy) -> dict[str, Any]:
    return {
        "timeoutSeconds": strategy.timeout.total_seconds(),
        "attempts": strategy.retry.attempts,
        "retryOn": sorted(strategy.retry.on),
        "initialDelaySeconds": strategy.retry.initial_delay.total_seconds(),
        "maxDelaySeconds": strategy.retry.max_delay.total_seconds(),
        "offline": strategy.offline.policy.value,
        "deadlineSeconds": strategy.offline.deadline.total_seconds(),
    }


def _strategy_from_json(value: Mapping[str, Any]) -> Strategy:
    return Strategy(
        timeout=timedelta(seconds=value["timeoutSeconds"]),
        retry=Retry(
            attempts=value["attempts"],
            on=frozenset(RetryOn(word) for word in value["retryOn"]),
            initial_delay=timedelta(seconds=value["initialDelaySeconds"]),
            max_delay=timedelta(seconds=value["maxDelaySeconds"]),
        ),
        offline=Offline(
            policy=OfflinePolicy(value["offline"]),
            deadline=timedelta(seconds=value["deadlineSeconds"]),
        ),
    )


def _payload_to_json(payload: Any) -> str:
    text = _json(payload)
    return text if len(text) <= PAYLOAD_CHARACTERS else _json(f"{text[:PAYLOAD_CHARACTERS]} ...")


def _history_to_json(history: tuple[Step, ...]) -> str:
    """The latest steps that fit into a column."""
    lines: list[str] = []
    left = HISTORY_CHARACTERS
    for step in reversed(history):
        line = _json([step.state.value, step.attempt, step.at.isoformat(), step.message])
        left -= len(line)
        if left < 0:
            break
        lines.insert(0, line)
    return f"[{','.join(lines)}]"


def _history_from_json(text: str) -> tuple[Step, ...]:
    return tuple(
        Step(
            state=DeviceState(state),
            attempt=attempt,
            at=datetime.fromisoformat(at),
            message=message,
        )
        for state, attempt, at, message in json.loads(text)
    )


def _reason_to_json(reason: Reason | None) -> str | None:
    return _json({"code": reason.code, "message": reason.message}) if reason else None


def _reason_from_json(text: str | None) -> Reason | None:
    return Reason(**json.loads(text)) if text else None


def _counts_to_json(counts: Counts | None) -> str | None:
    return json.dumps(asdict(counts)) if counts else None


def _json(value: Any) -> str:
    """JSON that spends one character on one, whatever the language. Lone surrogates are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or _is_encodable(text) else json.dumps(value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _chunks(name: str, text: str) -> dict[str, str]:
    parts = range(0, len(text), COLUMN_CHARACTERS)
    return {f"{name}{n}": text[at : at + COLUMN_CHARACTERS] for n, at in enumerate(parts)}


def _joined(name: str, row: Mapping[str, Any]) -> str:
    parts: list[str] = []
    while f"{name}{len(parts)}" in row:
        parts.append(row[f"{name}{len(parts)}"])
    return "".join(parts)


def _text(time: datetime | None) -> str | None:
    """ISO 8601 in UTC to the microsecond: reads well, sorts as text, and comes back exactly."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
