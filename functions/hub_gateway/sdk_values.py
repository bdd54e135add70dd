"""Read device twins and query rows as the SDK returns them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from azure.core.exceptions import DeserializationError

from functions.hub_gateway import query_text
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.target import TargetDevice


def to_device_twin(twin: Any) -> DeviceTwin:
    """Convert the SDK's twin. Raises DeserializationError if it is not a device twin."""
    if twin is None or not twin.device_id:
        raise DeserializationError("not a device twin")
    reported = dict(twin.properties.reported or {}) if twin.properties else {}
    metadata = reported.pop("$metadata", None) or {}
    reported.pop("$version", None)
    times = {name: _last_updated(metadata.get(name)) for name in reported}
    return DeviceTwin(
        device_id=twin.device_id,
        connected=twin.connection_state == "Connected",
        reported=reported,
        reported_at={name: time for name, time in times.items() if time is not None},
    )


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


def _last_updated(metadata: Any) -> datetime | None:
    """Return `$lastUpdated` of a property. The hub sends seven decimals, Python keeps six."""
    text = metadata.get("$lastUpdated") if isinstance(metadata, Mapping) else None
    try:
        return datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None
