"""Write hub queries. Values enter a query only here, and only escaped.

A caller's condition is query text and is not escaped: a caller of this API may query all twins.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functions.hub_gateway.port import FailureQuery
from functions.rollouts.model.quotas import QUERY_ROWS

# Microsoft Learn, "IoT Hub query language": the length of a query.
MAX_QUERY_CHARACTERS = 8192
_MAX_CONDITION_CHARACTERS = MAX_QUERY_CHARACTERS - 512
# Column names that no twin field has, because the SDK takes fields of a twin out of the row.
COUNT = "number"
_VALUE, _TIME = "value", "time"
_TWIN_FIELDS = "deviceId, status, connectionState, lastActivityTime"
# The reported properties that the rules read (device contract).
READ_PROPERTIES = (
    "firmwareStatus",
    "firmwareVersion",
    "firmwareUpdate",
    "downloadComplete",
    "startedApplyingImage",
    "lastFirmwareUpdate",
)
_WHERE = " WHERE "
VERSION = f"{_VALUE}0"
_VERSION_PATH = "properties.reported.firmwareVersion"
_COUNT_VERSIONS = f"SELECT {_VERSION_PATH} AS {VERSION}, COUNT() AS {COUNT} FROM devices"
_BY_VERSION = f"GROUP BY {_VERSION_PATH}"
_STATUS = "properties.reported.firmwareStatus"
_UPDATE = "properties.reported.firmwareUpdate.rolloutId"
# When the hub stored a property last, in UTC with seven decimals.
STATUS_TIME = "properties.reported.$metadata.firmwareStatus.$lastUpdated"
_VERSION_TIME = "properties.reported.$metadata.firmwareVersion.$lastUpdated"
# The spellings that devices use; others are found when they are due.
_FAILED = ("failed", "Failed", "FAILED")
_ENDED = ("completed", "Completed", "COMPLETED", "standBy", "standby", "StandBy")
# A longer stratum is cut and gets a hash: a tag holds 4 KB, and a target many devices.
MAX_STRATUM_CHARACTERS = 100
_HASH_CHARACTERS = 16


def literal(text: str) -> str:
    """Return `text` as a string literal, with quotes and backslashes escaped by a backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def twin_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Write queries that together return the twins of `device_ids`, as far as they are read.

    The hub bills the size of the result: tags, desired and foreign reported properties stay out.
    """
    values = (
        f"properties.reported.{name} AS {_VALUE}{number},"
        f" properties.reported.$metadata.{name}.$lastUpdated AS {_TIME}{number}"
        for number, name in enumerate(READ_PROPERTIES)
    )
    return _with_ids(f"SELECT {_TWIN_FIELDS}, {', '.join(values)} FROM devices", device_ids)


def reported_in(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the reported properties in a row of `twin_queries`, and the hub's times of them."""
    named = [(name, f"{_VALUE}{n}", f"{_TIME}{n}") for n, name in enumerate(READ_PROPERTIES)]
    values = {name: row[value] for name, value, _ in named if value in row}
    return values, {name: row[time] for name, _, time in named if time in row}


def device_queries(device_ids: Sequence[str], paths: Sequence[str]) -> Iterator[str]:
    """Write queries that together return `device_ids` with the values at `paths`."""
    return _with_ids(f"SELECT {_fields(paths)} FROM devices", device_ids)


def connection_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Write queries that together return the enabled ones of `device_ids`, connected or not."""
    return _with_ids(
        "SELECT deviceId, connectionState FROM devices", device_ids, " AND status = 'enabled'"
    )


def matching_query(condition: str, paths: Sequence[str]) -> str:
    """Write the query for the devices that match a condition, with the values at `paths`."""
    return f"SELECT {_fields(paths)} FROM devices WHERE {condition}"


def matching_among_queries(condition: str, device_ids: Sequence[str]) -> Iterator[str]:
    """Write queries that together return those of `device_ids` that match a condition."""
    return _with_ids("SELECT deviceId FROM devices", device_ids, f" AND ({condition})")


def count_query(condition: str) -> str:
    """Write the query that counts the devices that match a condition."""
    return f"SELECT COUNT() AS {COUNT} FROM devices WHERE {condition}"


def version_count_query(condition: str) -> str:
    """Write the query that counts the devices that match a condition, by firmware version."""
    return f"{_COUNT_VERSIONS} WHERE {condition} {_BY_VERSION}"


def failure_condition(query: FailureQuery) -> str:
    """Write the condition for the devices that report a failure, see `port.FailureQuery`."""
    own = f"{_UPDATE} = {literal(query.rollout_id)}"
    failed = f"{_STATUS} IN {_list(_FAILED)} AND ({own} OR NOT IS_DEFINED({_UPDATE}))"
    # Times of one form are in order as texts.
    since = f"{STATUS_TIME} >= {literal(query.since.strftime('%Y-%m-%dT%H:%M:%S'))}"
    if not query.versions:
        return f"{failed} AND {since}"
    wrong = (
        f"{own} AND {_STATUS} IN {_list(_ENDED)} AND IS_DEFINED({_VERSION_PATH})"
        f" AND {_VERSION_PATH} NIN {_list(query.versions)} AND {_VERSION_TIME} >= {STATUS_TIME}"
    )
    both = f"({failed} OR {wrong}) AND {since}"
    return both if len(both) <= _MAX_CONDITION_CHARACTERS else f"{failed} AND {since}"


def _list(values: Sequence[str]) -> str:
    return f"[{','.join(map(literal, values))}]"


def condition_start(query: str) -> int:
    """Return the position of the condition in a query of this module."""
    return query.index(_WHERE) + len(_WHERE)


def version_count_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Write queries that together count `device_ids` by firmware version."""
    return _with_ids(_COUNT_VERSIONS, device_ids, f" {_BY_VERSION}")


def stratum(row: Mapping[str, Any], paths: Sequence[str]) -> str:
    """Join the values at `paths` of a row into one text. A missing value is empty."""
    text = "/".join(str(row.get(f"{_VALUE}{number}", "")) for number in range(len(paths)))
    if len(text) <= MAX_STRATUM_CHARACTERS:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: MAX_STRATUM_CHARACTERS - 20]}...{digest[:_HASH_CHARACTERS]}"


def _fields(paths: Sequence[str]) -> str:
    values = (f"{path} AS {_VALUE}{number}" for number, path in enumerate(paths))
    return ", ".join(("deviceId", *values))


def _with_ids(select: str, device_ids: Sequence[str], end: str = "") -> Iterator[str]:
    """Write queries with an `IN` list each, of at most QUERY_ROWS ids and within the length."""
    begin, end = f"{select} WHERE deviceId IN [", f"]{end}"
    literals: list[str] = []
    length = len(begin) + len(end)
    for device_id in device_ids:
        text = literal(device_id)
        is_full = len(literals) == QUERY_ROWS or length + len(text) + 1 > MAX_QUERY_CHARACTERS
        if literals and is_full:
            yield f"{begin}{','.join(literals)}{end}"
            literals, length = [], len(begin) + len(end)
        literals.append(text)
        length += len(text) + 1
    if literals:
        yield f"{begin}{','.join(literals)}{end}"
