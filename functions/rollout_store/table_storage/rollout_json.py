"""Convert the parts of a rollout's record to JSON and back. The names in it are stored names."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from functions.rollout_store.table_storage.values import (
    to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import ErrorCode
from functions.rollouts.model.dispatch import FreezeMatches, Lease
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.target import TargetDevice, TargetResolution
from functions.rollouts.model.usage import NO_USAGE, Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def lease_to_json(lease: Lease) -> list[Any]:
    return [
        lease.number,
        lease.block,
        f"{lease.devices.mask:x}",
        to_text(lease.until),
        lease.repeat,
    ]


def lease_from_json(value: Any) -> Lease:
    number, block, mask, until, repeat = value
    devices = DeviceSet(int(mask, 16))
    return Lease(number=number, block=block, devices=devices, until=to_time(until), repeat=repeat)


def matches_to_json(item: FreezeMatches) -> list[Any]:
    until = to_text(item.until)
    return [item.block, f"{item.devices.mask:x}", item.revision, until, item.repeat]


def matches_from_json(value: Any) -> FreezeMatches:
    block, mask, revision, until, repeat = value
    return FreezeMatches(
        block=block,
        devices=DeviceSet(int(mask, 16)),
        revision=revision,
        until=to_time(until),
        repeat=repeat,
    )


def resolution_to_json(resolution: TargetResolution) -> dict[str, Any]:
    return {
        "parts": resolution.parts,
        "asked_parts": resolution.listed_parts,
        "devices": resolution.devices,
        "cursor": resolution.cursor,
        "looked_up": resolution.queried_devices,
        "gathered": resolution.gathered,
        "written": resolution.written,
    }


def resolution_from_json(value: Mapping[str, Any]) -> TargetResolution:
    """Read a resolution. Rows of earlier versions lack some values."""
    return TargetResolution(
        parts=value.get("parts", 0),
        listed_parts=value.get("asked_parts", 0),
        devices=value.get("devices", 0),
        cursor=value.get("cursor"),
        queried_devices=value.get("looked_up", 0),
        gathered=value.get("gathered", False),
        written=value.get("written", 0),
    )


def retry_to_json(retry: PendingRetry) -> dict[str, Any]:
    chosen = None if retry.devices is None else _device_sets_to_json(retry.devices)
    return {"states": sorted(retry.states), "devices": chosen, "nextBlock": retry.next_block}


def retry_from_json(value: Mapping[str, Any]) -> PendingRetry:
    chosen = value["devices"]
    return PendingRetry(
        states=frozenset(map(RetryState, value["states"])),
        devices=None if chosen is None else _device_sets_from_json(chosen),
        next_block=value["nextBlock"],
    )


def joining_to_json(joining: Joining) -> Any:
    return {
        "joined": joining.joined,
        "found": [[item.device_id, item.stratum] for item in joining.found],
        "cursor": joining.cursor,
        "beganAt": to_text(joining.began_at),
        "checkedAt": to_text(joining.checked_at),
        "dueAt": to_text(joining.due_at),
    }


def joining_from_json(value: Mapping[str, Any]) -> Joining:
    return Joining(
        joined=value["joined"],
        found=tuple(TargetDevice(device_id, stratum) for device_id, stratum in value["found"]),
        cursor=value["cursor"],
        began_at=to_optional_time(value["beganAt"]),
        checked_at=to_optional_time(value["checkedAt"]),
        due_at=to_optional_time(value["dueAt"]),
    )


def hub_load_to_json(load: HubLoad) -> dict[str, Any]:
    return {
        "methods": load.methods,
        "throttled": load.throttled,
        "seconds": load.seconds,
        "starts": load.starts,
        "queries": load.queries,
        **({"responded": load.responded} if load.responded else {}),
        **({"failed": load.failed} if load.failed else {}),
        **({"refused": load.refused} if load.refused else {}),
        **({"silent": load.silent} if load.silent else {}),
        **({"example": load.example} if load.example else {}),
        **({"usage": usage_to_json(load.usage)} if load.usage != NO_USAGE else {}),
    }


def hub_load_from_json(value: Mapping[str, Any]) -> HubLoad:
    """Read a hub load. Rows of earlier versions lack some values."""
    return HubLoad(
        methods=value.get("methods", 0),
        throttled=value.get("throttled", 0),
        seconds=value.get("seconds", 0.0),
        starts=value.get("starts", 0),
        queries=value.get("queries", 0),
        responded=value.get("responded", 0),
        failed=value.get("failed", 0),
        refused=value.get("refused", 0),
        silent=value.get("silent", 0),
        example=value.get("example", ""),
        usage=usage_from_json(value.get("usage", {})),
    )


def usage_to_json(usage: Usage) -> dict[str, int]:
    """Return the counts that are not 0, under short names: many writes carry them."""
    counts = {short: getattr(usage, name) for short, name in _USAGE_NAMES.items()}
    return {short: count for short, count in counts.items() if count}


def usage_from_json(value: Mapping[str, int]) -> Usage:
    return Usage(**{name: value.get(short, 0) for short, name in _USAGE_NAMES.items()})


_USAGE_NAMES = {
    "m": "methods",
    "mm": "method_messages",
    "t": "twins",
    "tm": "twin_messages",
    "om": "other_messages",
    "r": "reports",
    "p": "extra_pages",
    "x": "refusals",
}


def failures_to_json(failures: Sequence[FailureCount]) -> list[Any]:
    return [[item.code.value, item.count, item.example] for item in failures]


def failures_from_json(value: Any) -> tuple[FailureCount, ...]:
    return tuple(FailureCount(ErrorCode(code), count, example) for code, count, example in value)


def device_sets_to_text(device_sets: Mapping[int, DeviceSet]) -> str:
    return to_json(_device_sets_to_json(device_sets))


def device_sets_from_text(text: str) -> dict[int, DeviceSet]:
    return _device_sets_from_json(json.loads(text))


def _device_sets_to_json(device_sets: Mapping[int, DeviceSet]) -> dict[int, str]:
    return {number: f"{devices.mask:x}" for number, devices in device_sets.items()}


def _device_sets_from_json(value: Mapping[str, str]) -> dict[int, DeviceSet]:
    return {int(number): DeviceSet(int(mask, 16)) for number, mask in value.items()}


def summaries_to_text(summaries: Sequence[BlockSummary]) -> str:
    """Write milliseconds since 1970, rounded up, and revisions. A rollout has up to 1,000."""
    return to_json([[_to_milliseconds(item.due_at), item.revision] for item in summaries])


@lru_cache(maxsize=16)
def summaries_from_text(text: str) -> tuple[BlockSummary, ...]:
    """Read the summaries. The latest results are kept: most ticks find no block changed."""
    return tuple(
        [
            BlockSummary(None if time is None else _EPOCH + time * _MILLISECOND, revision)
            for time, revision in json.loads(text)
        ]
    )


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else math.ceil((time - _EPOCH) / _MILLISECOND)


def events_to_text(events: Sequence[Event]) -> str:
    return to_json([[to_text(event.at), event.action, event.by, event.message] for event in events])


def events_from_text(text: str) -> tuple[Event, ...]:
    return tuple(
        Event(at=to_time(at), action=action, by=by, message=message)
        for at, action, by, message in json.loads(text)
    )
