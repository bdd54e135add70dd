"""Read device twins and query rows as the SDK returns them."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import DeserializationError

from functions.hub_gateway import query_text
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.target import TargetDevice

# No useful response of a device is nested deeper.
_MAX_DEPTH = 20
CONNECTED = "Connected"
DISABLED = "disabled"


def to_device_twin(twin: Any) -> DeviceTwin:
    """Convert the SDK's twin. Raises DeserializationError if it is not a device twin."""
    if twin is None or not twin.device_id:
        raise DeserializationError("not a device twin")
    section = twin.properties.reported if twin.properties else None
    reported = dict(section) if isinstance(section, Mapping) else {}
    metadata = reported.pop("$metadata", None)
    reported.pop("$version", None)
    stamps = metadata if isinstance(metadata, Mapping) else {}
    times = {name: _last_updated(stamps.get(name)) for name in reported}
    return DeviceTwin(
        device_id=twin.device_id,
        connected=twin.connection_state == CONNECTED,
        enabled=twin.status != DISABLED,
        reported=reported,
        reported_at={name: time for name, time in times.items() if time is not None},
        active_at=_in_utc(getattr(twin, "last_activity_time", None)),
    )


def queried_twin(row: Any) -> DeviceTwin:
    """Convert a row of `query_text.twin_queries`. Raises DeserializationError without a device."""
    if row is None or not row.device_id:
        raise DeserializationError("not a device twin")
    reported, stamps = query_text.reported_in(row.additional_properties or {})
    times = {name: _to_hub_time(text) for name, text in stamps.items() if name in reported}
    return DeviceTwin(
        device_id=row.device_id,
        connected=row.connection_state == CONNECTED,
        enabled=row.status != DISABLED,
        reported={name: value for name, value in reported.items() if value is not None},
        reported_at={name: time for name, time in times.items() if time is not None},
        active_at=_in_utc(getattr(row, "last_activity_time", None)),
    )


def to_connection(row: Any) -> tuple[str, bool] | None:
    """Return a row's device id, and whether the device is connected; None if the row has no id."""
    device_id = getattr(row, "device_id", None)
    return (device_id, row.connection_state == CONNECTED) if isinstance(device_id, str) else None


def target_device_reader(paths: Sequence[str]) -> Callable[[Any], TargetDevice]:
    """Return a function that converts a row of a query with `paths`.

    It raises DeserializationError if the row is not a device.
    """

    def read(row: Any) -> TargetDevice:
        if row is None or not row.device_id:
            raise DeserializationError("not a device")
        values = row.additional_properties or {}
        return TargetDevice(row.device_id, query_text.stratum(values, paths))

    return read


def to_count(rows: Sequence[Any]) -> int:
    """Return the number in the row of a counting query; 0 without a row."""
    values = [row.additional_properties or {} for row in rows]
    return int(values[0].get(query_text.COUNT, 0)) if values else 0


def to_version_count(row: Any) -> tuple[Any, int]:
    """Return the firmware version of a row, as devices report it, and their number."""
    values = row.additional_properties or {}
    return values.get(query_text.VERSION), int(values.get(query_text.COUNT, 0))


def _last_updated(metadata: Any) -> datetime | None:
    """Return `$lastUpdated` of a property. The hub sends seven decimals, Python keeps six.

    A time without an offset is in UTC, as all of the hub's are.
    """
    return _to_hub_time(metadata.get("$lastUpdated") if isinstance(metadata, Mapping) else None)


def _to_hub_time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None
    return _in_utc(time)


def _in_utc(time: Any) -> datetime | None:
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def to_payload(value: Any, depth: int = 0) -> Any:
    """Return a device's response as a JSON value that can be stored and shown.

    A part nested too deeply, and a number that JSON has not (NaN, Infinity), become None.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, list | Mapping):
        return value
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [to_payload(item, depth + 1) for item in value]
    return {str(name): to_payload(item, depth + 1) for name, item in value.items()}
