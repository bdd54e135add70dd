"""Convert blocks of device updates to rows and back.

Each update is JSON without the fields that are not set. The names in it are stored names.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    count_units,
    escaped_length,
    from_columns,
    from_microseconds,
    reason_from_json,
    to_columns,
    to_json,
    to_microseconds,
    to_optional_time,
    to_text,
    to_time,
    utf16_length,
)
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import NO_BASELINE, Baseline
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.reason import Reason

# The size of one update in UTF-16 code units. With 100 of them, a row of 1 MiB in UTF-16 (Microsoft
# Learn, "Understanding the Table service data model") still holds a rollout's own record.
MAX_UPDATE_UNITS = 4_200
# The size in a request, where non-ASCII characters are escaped: four blocks fit into 4 MiB (same
# source, "Performing entity group transactions").
MAX_UPDATE_ESCAPED = 2 * MAX_UPDATE_UNITS
# The texts of a row in UTF-16 code units. The rest of 1 MiB is for names and plain values.
MAX_ROW_UNITS = 500_000
# A rollback looks versions up, so a valid version is never cut.
MAX_VERSION_CHARACTERS = 64
# The size of a history entry without its message.
_ENTRY_CHARACTERS = 60
_UPDATES = "updates"
_NOTHING: Mapping[str, Any] = {}
_STATES = {state: f"has{state.value.capitalize()}" for state in DeviceState}


class _Limits(NamedTuple):
    """Characters to keep of an update's parts."""

    text: int  # of each text
    payload: int  # of the method's response, which has up to 128 KB
    history: int  # of all entries together


# Tried in this order until the update fits. Every update fits with the last ones.
_LIMITS = (_Limits(1_000, 500, 2_000), _Limits(150, 250, 1_000), _Limits(50, 50, 300))


def block_to_row(rollout_id: str, block: Block) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.block_row(block.number),
        **block_to_columns(block),
    }


def block_to_columns(block: Block, beside: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return the columns for a block, in its own row or in a rollout's row.

    `beside` are the other columns of the row. Texts of devices are cut where those are long.
    """
    states = {update.state for update in block.updates}
    room = (MAX_ROW_UNITS - count_units(beside)) // max(1, len(block.updates))
    max_units = min(MAX_UPDATE_UNITS, room)
    updates = ",".join([_update_to_text(update, max_units) for update in block.updates])
    return {**{_STATES[state]: True for state in states}, **to_columns(_UPDATES, f"[{updates}]")}


def block_from_row(number: int, row: Mapping[str, Any]) -> Block | None:
    """Read the block in a row, or return None if the row has none."""
    text = from_columns(_UPDATES, row)
    if not text:
        return None
    return Block(number, tuple(_update_from_json(value) for value in json.loads(text)))


def filter_by_states(states: Iterable[DeviceState]) -> str:
    """Return the filter for rows that hold a device in one of these states."""
    return " or ".join(f"{_STATES[state]} eq true" for state in states)


def _update_to_text(update: DeviceUpdate, max_units: int) -> str:
    text = ""
    for limits in _LIMITS:
        text = to_json(_update_to_json(update, limits))
        if utf16_length(text) <= max_units and escaped_length(text) <= MAX_UPDATE_ESCAPED:
            break
    return text


def _update_to_json(update: DeviceUpdate, limits: _Limits) -> dict[str, Any]:
    baseline, method = update.baseline, update.method
    version_length = max(limits.text, MAX_VERSION_CHARACTERS)
    value = {
        "id": update.device_id,
        "wave": update.wave,
        "state": update.state.value,
        "startRank": update.start_rank,
        "stratumRank": update.stratum_rank,
        "accepted": update.has_accepted,
        "attempt": update.attempt,
        "queuedAt": to_text(update.queued_at),
        "updatedAt": to_text(update.updated_at),
        "version": update.version,
        "package": update.package or None,
        "stratum": update.stratum,
        "tries": update.attempts_used,
        "delays": update.delays,
        "waitingSince": to_text(update.waiting_since),
        "waitingFrom": to_microseconds(update.waiting_from),
        "frozenFrom": to_microseconds(update.frozen_from),
        "namedByRetry": update.named_by_retry,
        "offline": update.offline,
        "seenGone": update.seen_offline,
        "notBefore": to_text(update.not_before),
        "inDoubt": update.in_doubt,
        "lookAt": to_text(update.observe_at),
        "missingSince": to_text(update.missing_since),
        "darkSince": to_text(update.dark_since),
        "baseline": None if baseline is NO_BASELINE else _baseline_to_json(baseline),
        "method": None if method is None else [method.status, _cut_payload(method.payload, limits)],
        "firmwareStatus": update.firmware_status,
        "progress": update.progress_percent,
        "error": None if update.error is None else _cut_reason(update.error, limits),
        "skipReason": update.skip_reason and update.skip_reason.value,
        "runningVersion": _cut(update.running_version, version_length),
        "previousVersion": _cut(update.previous_version, version_length),
        "dispatchedAt": to_text(update.dispatched_at),
        "acceptedAt": to_text(update.accepted_at),
        "soakUntil": to_text(update.soak_until),
        "endedAt": to_text(update.ended_at),
        "explanation": _cut(update.explanation, limits.text),
        "history": _cut_history(update.history, limits),
    }
    return {name: item for name, item in value.items() if item is not None and item is not False}


def _update_from_json(value: Mapping[str, Any]) -> DeviceUpdate:
    get = value.get
    baseline, method = get("baseline"), get("method")
    return DeviceUpdate(
        device_id=value["id"],
        wave=value["wave"],
        state=DeviceState(value["state"]),
        start_rank=get("startRank"),
        stratum_rank=get("stratumRank"),
        has_accepted=get("accepted", False),
        attempt=value["attempt"],
        queued_at=to_time(value["queuedAt"]),
        updated_at=to_time(value["updatedAt"]),
        version=get("version"),
        package=get("package", 0),
        stratum=get("stratum"),
        attempts_used=value["tries"],
        delays=value["delays"],
        waiting_since=to_optional_time(get("waitingSince")),
        waiting_from=from_microseconds(get("waitingFrom")),
        frozen_from=from_microseconds(get("frozenFrom")),
        named_by_retry=get("namedByRetry", False),
        offline=get("offline", False),
        seen_offline=get("seenGone", False),
        not_before=to_optional_time(get("notBefore")),
        in_doubt=get("inDoubt", False),
        observe_at=to_optional_time(get("lookAt")),
        missing_since=to_optional_time(get("missingSince")),
        dark_since=to_optional_time(get("darkSince")),
        baseline=NO_BASELINE if baseline is None else _baseline_from_json(baseline),
        method=None if method is None else MethodResponse(status=method[0], payload=method[1]),
        firmware_status=get("firmwareStatus"),
        progress_percent=get("progress"),
        error=reason_from_json(get("error")),
        skip_reason=SkipReason(value["skipReason"]) if "skipReason" in value else None,
        running_version=get("runningVersion"),
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


def _baseline_to_json(baseline: Baseline) -> list[Any]:
    return [
        to_text(baseline.status_at),
        to_text(baseline.update_at),
        baseline.last_update,
        baseline.recognises_repeats,
        baseline.busy_elsewhere,
    ]


def _baseline_from_json(value: Any) -> Baseline:
    status_at, update_at, last_update, recognises_repeats, *busy_elsewhere = value
    return Baseline(
        status_at=to_optional_time(status_at),
        update_at=to_optional_time(update_at),
        last_update=last_update,
        recognises_repeats=recognises_repeats,
        busy_elsewhere=busy_elsewhere == [True],  # rows of earlier versions have four values
    )


def _cut(text: str | None, length: int) -> str | None:
    if text is None or len(text) <= length:
        return text
    return f"{text[:length]} ..."


def _cut_reason(reason: Reason, limits: _Limits) -> Any:
    return [_cut(reason.code, limits.text), _cut(reason.message, limits.text)]


def _cut_payload(payload: Any, limits: _Limits) -> Any:
    text = to_json(payload)
    if escaped_length(text) <= limits.payload:
        return payload
    return f"{text[: limits.payload // 2]} ..."


def _cut_history(history: tuple[HistoryEntry, ...], limits: _Limits) -> list[Any]:
    """Return the latest entries that fit, at least one, oldest first."""
    entries: list[Any] = []
    left = limits.history
    for entry in reversed(history):
        message = _cut(entry.message, limits.text) or ""
        left -= escaped_length(message) + _ENTRY_CHARACTERS
        if left < 0 and entries:
            break
        entries.append([entry.state.value, entry.attempt, to_text(entry.at), message])
    entries.reverse()
    return entries
