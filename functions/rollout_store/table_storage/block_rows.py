"""Blocks of device updates as rows: each update is JSON that leaves out what was not set yet."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    escaped_length,
    from_columns,
    reason_from_json,
    to_columns,
    to_json,
    to_optional_time,
    to_text,
    to_time,
    utf16_length,
)
from functions.rollouts.model.device_update import (
    NO_BASELINE,
    Baseline,
    DeviceState,
    DeviceUpdate,
    HistoryEntry,
    MethodResponse,
    Reason,
)
from functions.rollouts.model.rollout import Block

# What one update may take. A hundred of them leave some room for a rollout's own record in the
# megabyte of UTF-16 that a row may have; on the way to the service, where a text is ASCII with
# escapes, four blocks of them fit into one write.
UPDATE_UNITS = 4_200
UPDATE_ESCAPED = 2 * UPDATE_UNITS
# A firmware's version is looked up, so one that can be is kept whole.
VERSION_CHARACTERS = 64
_UPDATES = "updates"
_STATES = {state: f"has{state.value.capitalize()}" for state in DeviceState}


class _Room(NamedTuple):
    """Characters that are kept of a text, of a method's answer (up to 128 KB), of the history."""

    text: int
    payload: int
    history: int


# The first room that suffices is taken; in the last one, every update does.
_ROOMS = (_Room(1_000, 500, 2_000), _Room(150, 250, 1_000), _Room(50, 50, 300))


def block_to_row(rollout_id: str, block: Block) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.block_row(block.number),
        **block_columns(block),
    }


def block_columns(block: Block) -> dict[str, Any]:
    """The columns that hold a block, also inside a rollout's own row."""
    states = {update.state for update in block.updates}
    written = ",".join(map(_written, block.updates))
    return {**{_STATES[state]: True for state in states}, **to_columns(_UPDATES, f"[{written}]")}


def block_from_row(number: int, row: Mapping[str, Any]) -> Block | None:
    """The block that the row holds, None if it holds none."""
    written = from_columns(_UPDATES, row)
    if not written:
        return None
    return Block(number, tuple(_from_json(value) for value in json.loads(written)))


def filter_by_states(states: Iterable[DeviceState]) -> str:
    """Return the filter for rows that hold a device in one of these states."""
    return " or ".join(f"{_STATES[state]} eq true" for state in states)


def _written(update: DeviceUpdate) -> str:
    written = ""
    for room in _ROOMS:
        written = to_json(_to_json(update, room))
        if _fits(written):
            break
    return written


def _fits(written: str) -> bool:
    """ASCII, with quotes, becomes at most twice as long on its way."""
    return utf16_length(written) <= UPDATE_UNITS and escaped_length(written) <= UPDATE_ESCAPED


def _to_json(update: DeviceUpdate, room: _Room) -> dict[str, Any]:
    baseline, method = update.baseline, update.method
    value = {
        "id": update.device_id,
        "wave": update.wave,
        "state": update.state.value,
        "attempt": update.attempt,
        "queuedAt": to_text(update.queued_at),
        "updatedAt": to_text(update.updated_at),
        "version": update.version,
        "tries": update.tries,
        "delays": update.delays,
        "waitingSince": to_text(update.waiting_since),
        "offline": update.offline,
        "seenGone": update.seen_gone,
        "notBefore": to_text(update.not_before),
        "inDoubt": update.in_doubt,
        "lookAt": to_text(update.observe_at),
        "baseline": None
        if baseline is NO_BASELINE
        else [
            to_text(baseline.status_at),
            to_text(baseline.update_at),
            baseline.last_update,
            baseline.recognises_repeats,
            baseline.busy_elsewhere,
        ],
        "method": None if method is None else [method.status, _payload(method.payload, room)],
        "firmwareStatus": update.firmware_status,
        "progress": update.progress_percent,
        "error": None if update.error is None else _cut_reason(update.error, room),
        "previousVersion": _cut(update.previous_version, max(room.text, VERSION_CHARACTERS)),
        "dispatchedAt": to_text(update.dispatched_at),
        "acceptedAt": to_text(update.accepted_at),
        "soakUntil": to_text(update.soak_until),
        "endedAt": to_text(update.ended_at),
        "explanation": _cut(update.explanation, room.text),
        "history": _history(update.history, room),
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
        queued_at=to_time(value["queuedAt"]),
        updated_at=to_time(value["updatedAt"]),
        version=get("version"),
        tries=value["tries"],
        delays=value["delays"],
        waiting_since=to_optional_time(get("waitingSince")),
        offline=get("offline", False),
        seen_gone=get("seenGone", False),
        not_before=to_optional_time(get("notBefore")),
        in_doubt=get("inDoubt", False),
        observe_at=to_optional_time(get("lookAt")),
        baseline=NO_BASELINE if baseline is None else _baseline(baseline),
        method=None if method is None else MethodResponse(status=method[0], payload=method[1]),
        firmware_status=get("firmwareStatus"),
        progress_percent=get("progress"),
        error=reason_from_json(get("error")),
        previous_version=get("previousVersion"),
        dispatched_at=to_optional_time(get("dispatchedAt")),
        accepted_at=to_optional_time(get("acceptedAt")),
        soak_until=to_optional_time(get("soakUntil")),
        ended_at=to_optional_time(get("endedAt")),
        explanation=get("explanation"),
        history=tuple(
            HistoryEntry(DeviceState(state), attempt, to_time(at), message)
            for state, attempt, at, message in value["history"]
        ),
    )


def _baseline(value: Any) -> Baseline:
    status_at, update_at, last_update, recognises_repeats, *busy_elsewhere = value
    return Baseline(
        status_at=to_optional_time(status_at),
        update_at=to_optional_time(update_at),
        last_update=last_update,
        recognises_repeats=recognises_repeats,
        busy_elsewhere=busy_elsewhere == [True],  # a row of an earlier version has four values
    )


def _cut(written: str | None, at_most: int) -> str | None:
    if written is None or len(written) <= at_most:
        return written
    return f"{written[:at_most]} ..."


def _cut_reason(reason: Reason, room: _Room) -> Any:
    return [_cut(reason.code, room.text), _cut(reason.message, room.text)]


def _payload(payload: Any, room: _Room) -> Any:
    written = to_json(payload)
    if escaped_length(written) <= room.payload:
        return payload
    return f"{written[: room.payload // 2]} ..."


def _history(history: tuple[HistoryEntry, ...], room: _Room) -> list[Any]:
    """The latest steps that have room."""
    lines: list[Any] = []
    left = room.history
    for step in reversed(history):
        message = _cut(step.message, room.text) or ""
        left -= escaped_length(message) + 60
        if left < 0 and lines:
            break
        lines.append([step.state.value, step.attempt, to_text(step.at), message])
    lines.reverse()
    return lines
