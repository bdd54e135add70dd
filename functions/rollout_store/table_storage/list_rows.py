"""Make the rows that list rollouts: open ones, and ended ones by status and by time."""

from datetime import datetime

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row
from functions.rollout_store.table_storage.values import to_text
from functions.rollouts.model.rollout import Rollout


def list_entry_to_row(rollout: Rollout) -> Row:
    """Return the row that lists a rollout. It has a status only if the rollout is over."""
    is_closed = not rollout.is_followed
    return {
        "PartitionKey": keys.ended_partition(rollout.status) if is_closed else keys.ROLLOUTS,
        "RowKey": rollout.id,
        "open": rollout.is_followed,
        "status": rollout.status.value if rollout.is_over else None,
        "version": rollout.firmware.version,
        "createdAt": to_text(rollout.definition.created_at),
        "endedAt": to_text(rollout.ended_at),
    }


def end_to_row(rollout_id: str, ended_at: datetime, traces: str = "") -> Row:
    """Return the row of an ended rollout in the order of the ends.

    `traces` are what is left to remove of it.
    """
    return {
        "PartitionKey": keys.ROLLOUTS,
        "RowKey": keys.end_row(ended_at, rollout_id),
        **({"traces": traces} if traces else {}),
    }
