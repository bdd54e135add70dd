"""Hub queries as text. The one place where a value enters a query, and it enters escaped.

A caller's condition is a query by its nature, and may read what a caller of this API may know.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functions.rollouts.rollout.pacing import QUERY_ROWS

# Microsoft Learn, "IoT Hub query language": a query is at most 8,192 characters.
QUERY_AT_MOST = 8192
# Names that no twin field has: the SDK would read those as its own.
COUNT = "number"
_VALUE = "value"
# Longer strata go by their beginning and a hash: a tag may have 4 KB, and a target many members.
STRATUM_AT_MOST = 100


def literal(text: str) -> str:
    """`text` as a string of the query language; quote and backslash are escaped by backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def twin_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Queries that together ask for the twins of `device_ids`, each within the hub's limits."""
    return _with_ids("SELECT * FROM devices", device_ids)


def members_queries(device_ids: Sequence[str], paths: Sequence[str]) -> Iterator[str]:
    """Queries that together ask which of `device_ids` there are, with values of twin paths."""
    return _with_ids(f"SELECT {_fields(paths)} FROM devices", device_ids)


def connected_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Queries that together ask which of `device_ids` are connected."""
    return _with_ids(
        "SELECT deviceId FROM devices", device_ids, " AND connectionState = 'Connected'"
    )


def members_query(condition: str, paths: Sequence[str]) -> str:
    """Which devices meet a caller's condition, with their values of twin paths."""
    return f"SELECT {_fields(paths)} FROM devices WHERE {condition}"


def count_query(condition: str) -> str:
    """How many devices meet a caller's condition."""
    return f"SELECT COUNT() AS {COUNT} FROM devices WHERE {condition}"


def stratum(row: Mapping[str, Any], paths: Sequence[str]) -> str:
    """The values of a row that was asked for with `paths`, as one text; absent ones are empty."""
    text = "/".join(str(row.get(f"{_VALUE}{number}", "")) for number in range(len(paths)))
    if len(text) <= STRATUM_AT_MOST:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: STRATUM_AT_MOST - 20]}...{digest[:16]}"


def _fields(paths: Sequence[str]) -> str:
    values = (f"{path} AS {_VALUE}{number}" for number, path in enumerate(paths))
    return ", ".join(("deviceId", *values))


def _with_ids(select: str, device_ids: Sequence[str], end: str = "") -> Iterator[str]:
    begin, end = f"{select} WHERE deviceId IN [", f"]{end}"
    literals: list[str] = []
    length = len(begin) + len(end)
    for device_id in device_ids:
        text = literal(device_id)
        if literals and (len(literals) == QUERY_ROWS or length + len(text) + 1 > QUERY_AT_MOST):
            yield f"{begin}{','.join(literals)}{end}"
            literals, length = [], len(begin) + len(end)
        literals.append(text)
        length += len(text) + 1
    if literals:
        yield f"{begin}{','.join(literals)}{end}"
