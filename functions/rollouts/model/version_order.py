"""Compare firmware versions, as far as their names tell an order.

A version has numbers separated by dots, as many as it likes, with or without a leading "v". They
are compared one by one; a missing one is 0. A part after "-" marks a pre-release, which is lower
than the release (Semantic Versioning 2.0.0, section 11). A part after "+" is ignored. Other names,
such as dates with letters or hashes, have no order.
"""

import re

_VERSION = re.compile(
    r"[vV]?(?P<release>\d+(\.\d+)*)(-(?P<pre>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?(\+\S*)?", re.ASCII
)
# Compares as a release, above each of its pre-releases.
_RELEASED: tuple[tuple[int, int, str], ...] = ((2, 0, ""),)


def is_lower(version: str, than: str) -> bool:
    """Return whether `version` is lower than `than`; False also if they have no order.

    Examples: 2.4.0 is lower than 2.10, 2.4.0-rc1 than 2.4.0; v2.4 is not lower than 2.4.0.
    """
    one, other = _key(version), _key(than)
    return one is not None and other is not None and one < other


def _key(version: str) -> tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]] | None:
    """Return a value that sorts as the version does, or None if it has no order."""
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = [int(number) for number in found["release"].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    pre = found["pre"]
    return tuple(numbers), _RELEASED if pre is None else tuple(map(_part_key, pre.split(".")))


def _part_key(part: str) -> tuple[int, int, str]:
    """Sort numbers by value, below all texts."""
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)
