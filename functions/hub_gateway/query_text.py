"""Hub queries as text. The one place where a value enters a query, and it enters escaped."""

from collections.abc import Iterator, Sequence

# Microsoft Learn, "IoT Hub query language": a query is at most 8,192 characters.
QUERY_AT_MOST = 8192
# A page holds at most this many twins, so a longer list only makes more pages.
IDS_AT_MOST = 100

_SELECT = "SELECT * FROM devices WHERE deviceId IN ["


def literal(text: str) -> str:
    """`text` as a string of the query language; quote and backslash are escaped by backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def twin_queries(device_ids: Sequence[str]) -> Iterator[str]:
    """Queries that together ask for the twins of `device_ids`, each within the hub's limits."""
    literals: list[str] = []
    length = len(_SELECT) + 1
    for device_id in device_ids:
        text = literal(device_id)
        if literals and (len(literals) == IDS_AT_MOST or length + len(text) + 1 > QUERY_AT_MOST):
            yield _query(literals)
            literals, length = [], len(_SELECT) + 1
        literals.append(text)
        length += len(text) + 1
    if literals:
        yield _query(literals)


def _query(literals: Sequence[str]) -> str:
    return f"{_SELECT}{','.join(literals)}]"
