"""A rollout's record as a row, and its line in the list of rollouts.

Plain values have their own columns, so that the table can be read by people and filtered; what
is nested is JSON.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollout_store import strategy_json
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    firmware_from_json,
    firmware_to_json,
    from_columns,
    reason_from_json,
    reason_to_json,
    to_columns,
    to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.rollout import (
    BlockSummary,
    Counts,
    Event,
    HubLoad,
    Lease,
    Rollout,
    RolloutStatus,
    Target,
    TargetResolution,
    Wave,
    WaveStatus,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rollout_to_row(rollout: Rollout) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout.id),
        "RowKey": keys.ROLLOUT_ROW,
        "id": rollout.id,
        "status": rollout.status.value,
        "statusReason": _optional_json(reason_to_json(rollout.status_reason)),
        "firmware": to_json(firmware_to_json(rollout.firmware)),
        "condition": rollout.target.condition,
        "strategy": to_json(strategy_json.to_json(rollout.strategy)),
        "createdAt": to_text(rollout.created_at),
        "createdBy": rollout.created_by,
        "startAt": to_text(rollout.start_at),
        "startedAt": to_text(rollout.started_at),
        "endedAt": to_text(rollout.ended_at),
        "rollbackOf": rollout.rollback_of,
        "rolledBackBy": rollout.rolled_back_by,
        "revision": rollout.revision,
        "handOutCount": rollout.lease_count,
        "gathering": _optional_json(asdict(rollout.resolution) if rollout.resolution else None),
        "traffic": to_json(asdict(rollout.hub_load)),
        "finished": rollout.finished,
        "finishSeconds": float(rollout.finish_seconds),
        "eventCount": rollout.event_count,
        **to_columns("labels", to_json(dict(rollout.labels))),
        **to_columns("earlier", to_json([firmware_to_json(f) for f in rollout.earlier_firmware])),
        **to_columns("waves", to_json([_wave_to_json(wave) for wave in rollout.waves])),
        **to_columns("marks", _marks_to_json(rollout.marks)),
        **to_columns("ready", _members_to_json(rollout.ready)),
        **to_columns("repeats", _members_to_json(rollout.repeats)),
        **to_columns("handOuts", to_json([_hand_out_to_json(item) for item in rollout.leases])),
        **to_columns("events", events_to_json(rollout.events)),
    }


def rollout_from_row(row: Mapping[str, Any]) -> Rollout:
    resolution = row.get("gathering")
    return Rollout(
        id=row["id"],
        status=RolloutStatus(row["status"]),
        status_reason=reason_from_json(json.loads(row.get("statusReason") or "null")),
        firmware=firmware_from_json(json.loads(row["firmware"])),
        earlier_firmware=tuple(map(firmware_from_json, json.loads(from_columns("earlier", row)))),
        target=Target(condition=row.get("condition")),
        strategy=strategy_json.from_json(json.loads(row["strategy"])),
        labels=json.loads(from_columns("labels", row)),
        created_at=to_time(row["createdAt"]),
        created_by=row["createdBy"],
        start_at=to_optional_time(row.get("startAt")),
        started_at=to_optional_time(row.get("startedAt")),
        ended_at=to_optional_time(row.get("endedAt")),
        rollback_of=row.get("rollbackOf"),
        rolled_back_by=row.get("rolledBackBy"),
        revision=row["revision"],
        lease_count=row["handOutCount"],
        resolution=TargetResolution(**json.loads(resolution)) if resolution else None,
        hub_load=HubLoad(**json.loads(row["traffic"])),
        finished=row["finished"],
        finish_seconds=row["finishSeconds"],
        event_count=row["eventCount"],
        waves=tuple(map(_wave_from_json, json.loads(from_columns("waves", row)))),
        marks=_marks_from_json(from_columns("marks", row)),
        ready=_members_from_json(from_columns("ready", row)),
        repeats=_members_from_json(from_columns("repeats", row)),
        leases=tuple(map(_hand_out_from_json, json.loads(from_columns("handOuts", row)))),
        events=events_from_json(from_columns("events", row)),
    )


def list_entry_to_row(rollout: Rollout) -> Row:
    """Return the row that lists a rollout. It has a status only if the rollout is over."""
    return {
        "PartitionKey": keys.ROLLOUTS,
        "RowKey": rollout.id,
        "open": not rollout.is_over,
        "status": rollout.status.value if rollout.is_over else None,
        "version": rollout.firmware.version,
        "createdAt": to_text(rollout.created_at),
    }


def events_to_row(rollout_id: str, first: int, events: Sequence[Event]) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.events_row(first),
        **to_columns("events", events_to_json(events)),
    }


def events_to_json(events: Sequence[Event]) -> str:
    return to_json([[to_text(event.at), event.action, event.by, event.message] for event in events])


def events_from_json(written: str) -> tuple[Event, ...]:
    return tuple(
        Event(at=to_time(at), action=action, by=by, message=message)
        for at, action, by, message in json.loads(written)
    )


def _optional_json(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _wave_to_json(wave: Wave) -> dict[str, Any]:
    return {
        "name": wave.name,
        "first": wave.first,
        "size": wave.size,
        "approval": wave.approval,
        "approved": wave.approved,
        "status": wave.status.value,
        "counts": asdict(wave.counts),
        "begun": wave.begun,
        "waived_failed": wave.acknowledged_failed,
        "waived_healthy": wave.acknowledged_healthy,
        "passed": wave.passed,
        "started_at": to_text(wave.started_at),
        "ended_at": to_text(wave.ended_at),
    }


def _wave_from_json(value: Mapping[str, Any]) -> Wave:
    return Wave(
        name=value["name"],
        first=value["first"],
        size=value["size"],
        approval=value["approval"],
        approved=value["approved"],
        status=WaveStatus(value["status"]),
        counts=Counts(**value["counts"]),
        begun=value["begun"],
        acknowledged_failed=value["waived_failed"],
        acknowledged_healthy=value["waived_healthy"],
        passed=value["passed"],
        started_at=to_optional_time(value["started_at"]),
        ended_at=to_optional_time(value["ended_at"]),
    )


def _hand_out_to_json(item: Lease) -> list[Any]:
    return [item.number, item.block, f"{item.members:x}", to_text(item.until), item.repeat]


def _hand_out_from_json(value: Any) -> Lease:
    number, block, members, until, repeat = value
    return Lease(
        number=number, block=block, members=int(members, 16), until=to_time(until), repeat=repeat
    )


def _members_to_json(members: Mapping[int, int]) -> str:
    return to_json({number: f"{bits:x}" for number, bits in members.items()})


def _members_from_json(written: str) -> dict[int, int]:
    return {int(number): int(bits, 16) for number, bits in json.loads(written).items()}


def _marks_to_json(marks: Sequence[BlockSummary]) -> str:
    """Milliseconds since 1970, rounded up, and revisions: many, so as short as can be."""
    return to_json([[_milliseconds(mark.observe_at), mark.revision] for mark in marks])


def _marks_from_json(written: str) -> tuple[BlockSummary, ...]:
    return tuple(
        BlockSummary(None if look is None else _EPOCH + timedelta(milliseconds=look), revision)
        for look, revision in json.loads(written)
    )


def _milliseconds(observe_at: datetime | None) -> int | None:
    return (
        None if observe_at is None else math.ceil((observe_at - _EPOCH) / timedelta(milliseconds=1))
    )
