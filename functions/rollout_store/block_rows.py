"""Blocks of device updates as rows: each update is JSON that leaves out what was not set yet."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store import keys
from functions.rollout_store.plain import (
    chunks,
    joined,
    optional_time,
    reason_from_json,
    reason_to_json,
    text,
    time,
    to_json,
)
from functions.rollout_store.table import Row
from functions.rollouts.device_update import (
    NO_BASELINE,
    Baseline,
    DeviceState,
    DeviceUpdate,
    MethodAnswer,
    Step,
)
from functions.rollouts.rollout import Block

# What a device answered to its method may be 128 KB; the beginning will do. With these limits,
# a block of the longest updates stays below the megabyte that a row may have.
PAYLOAD_CHARACTERS = 500
HISTORY_CHARACTERS = 2_000
_UPDATES = "updates"
_STATES = {state: f"has{state.value.capitalize()}" for state in DeviceState}


def block_to_row(rollout_id: str, block: Block) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.block_row(block.number),
        **block_columns(block),
    }


def block_columns(block: Block) -> dict[str, Any]:
    """The columns that hold a block, also inside a rollout's own row."""
    states = {update.state for update in block.updates}
    written = to_json([_to_json(update) for update in block.updates])
    return {**{_STATES[state]: True for state in states}, **chunks(_UPDATES, written)}


def block_from_row(number: int, row: Mapping[str, Any]) -> Block | None:
    """The block that the row holds, None if it holds none."""
    written = joined(_UPDATES, row)
    if not written:
        return None
    return Block(number, tuple(_from_json(value) for value in json.loads(written)))


def has_any(states: tuple[DeviceState, ...]) -> str:
    """The filter of rows that hold a device in one of these states."""
    return " or ".join(f"{_STATES[state]} eq true" for state in states)


def _to_json(update: DeviceUpdate) -> dict[str, Any]:
    baseline, method = update.baseline, update.method
    value = {
        "id": update.device_id,
        "wave": update.wave,
        "state": update.state.value,
        "attempt": update.attempt,
        "queuedAt": text(update.queued_at),
        "updatedAt": text(update.updated_at),
        "version": update.version,
        "tries": update.tries,
        "delays": update.delays,
        "waitingSince": text(update.waiting_since),
        "offline": update.offline,
        "seenGone": update.seen_gone,
        "notBefore": text(update.not_before),
        "inDoubt": update.in_doubt,
        "lookAt": text(update.look_at),
        "baseline": None
        if baseline is NO_BASELINE
        else [
            text(baseline.status_at),
            text(baseline.update_at),
            baseline.last_update,
            baseline.recognises_repeats,
        ],
        "method": None if method is None else [method.status, _payload(method.payload)],
        "firmwareStatus": update.firmware_status,
        "progress": update.progress_percent,
        "error": reason_to_json(update.error),
        "previousVersion": update.previous_version,
        "dispatchedAt": text(update.dispatched_at),
        "acceptedAt": text(update.accepted_at),
        "soakUntil": text(update.soak_until),
        "endedAt": text(update.ended_at),
        "explanation": update.explanation,
        "history": _history(update.history),
    }
    return {name: item for name, item in value.items() if item is not None and item is not False}


def _from_json(value: Mapping[str, Any]) -> DeviceUpdate:
    get = value.get
    baseline, method = get("baseline"), get("method")
    return DeviceUpdate(
        device_id=value["id"],
        wave=value["wave"],
        state=DeviceState(value["state"]),
        attempt=value["attempt"],
        queued_at=time(value["queuedAt"]),
        updated_at=time(value["updatedAt"]),
        version=get("version"),
        tries=value["tries"],
        delays=value["delays"],
        waiting_since=optional_time(get("waitingSince")),
        offline=get("offline", False),
        seen_gone=get("seenGone", False),
        not_before=optional_time(get("notBefore")),
        in_doubt=get("inDoubt", False),
        look_at=optional_time(get("lookAt")),
        baseline=NO_BASELINE if baseline is None else _baseline(baseline),
        method=None if method is None else MethodAnswer(status=method[0], payload=method[1]),
        firmware_status=get("firmwareStatus"),
        progress_percent=get("progress"),
        error=reason_from_json(get("error")),
        previous_version=get("previousVersion"),
        dispatched_at=optional_time(get("dispatchedAt")),
        accepted_at=optional_time(get("acceptedAt")),
        soak_until=optional_time(get("soakUntil")),
        ended_at=optional_time(get("endedAt")),
        explanation=get("explanation"),
        history=tuple(
            Step(DeviceState(state), attempt, time(at), message)
            for state, attempt, at, message in value["history"]
        ),
    )


def _baseline(value: Any) -> Baseline:
    status_at, update_at, last_update, recognises_repeats = value
    return Baseline(
        status_at=optional_time(status_at),
        update_at=optional_time(update_at),
        last_update=last_update,
        recognises_repeats=recognises_repeats,
    )


def _payload(payload: Any) -> Any:
    written = to_json(payload)
    if _escaped(written) <= PAYLOAD_CHARACTERS:
        return payload
    return f"{written[: PAYLOAD_CHARACTERS // 2]} ..."


def _history(history: tuple[Step, ...]) -> list[Any]:
    """The latest steps that have room."""
    lines: list[Any] = []
    left = HISTORY_CHARACTERS
    for step in reversed(history):
        left -= _escaped(step.message) + 60
        if left < 0 and lines:
            break
        lines.append([step.state.value, step.attempt, text(step.at), step.message])
    lines.reverse()
    return lines


def _escaped(written: str) -> int:
    """The length of a text on its way to the service: six characters for one beyond ASCII."""
    return len(written) if written.isascii() else len(json.dumps(written))
