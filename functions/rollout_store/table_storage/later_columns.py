"""Convert the later rollouts of an open rollout to columns of its row and back."""

import json
from collections.abc import Mapping
from typing import Any

from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import (
    COLUMN_CHARACTERS,
    from_columns,
    to_json,
    to_packed_columns,
)
from functions.rollouts.model.later_rollouts import NO_LATER_ROLLOUTS, LaterRollouts

_ONE, _MANY = "later", "manyLater"
# Packed, an id takes about 11 bytes, so these columns hold more than 40,000.
_MAX_COLUMNS = 8
LATER_COLUMNS = (_ONE, *(f"{_MANY}{number}" for number in range(_MAX_COLUMNS)))
"""Names of the columns that `later_from_row` reads."""


def later_columns(later: LaterRollouts) -> Row:
    """Return one column with the later rollouts, or several if they exceed one."""
    if later == NO_LATER_ROLLOUTS:
        return {_ONE: None}
    text = to_json([list(later.ids), later.checked])
    return {_ONE: text} if len(text) <= COLUMN_CHARACTERS else to_packed_columns(_MANY, text)


def later_from_row(row: Mapping[str, Any]) -> LaterRollouts:
    """Read the later rollouts. Rows of earlier versions name none."""
    text = row.get(_ONE) or from_columns(_MANY, row)
    if not text:
        return NO_LATER_ROLLOUTS
    ids, checked = json.loads(text)
    return LaterRollouts(ids=tuple(ids), checked=checked)
