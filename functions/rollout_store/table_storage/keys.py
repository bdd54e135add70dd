"""Name everything in Table Storage: the table, partition keys, row keys.

One table. Its partitions:

    rollouts           one row per open rollout, newest first; then one row per ended rollout, by
                       the time of its end, for retention
    ended-<status>     one row per rollout that ended so, newest first; together with the open
                       ones, the list of rollouts
    rollout-<id>       everything of one rollout, so that one transaction can write it:
                         rollout          its record, and its devices if one block holds them
                         block-<00000>    one block of device updates
                         target-<00000>   one part of the target of a large rollout
                         events-<000000>  older audit events
                         webhook-<name>   how far a webhook has received its events
    history-<00..31>   of each rollout, newest first: its devices whose ids hash to this number. A
                       rollout of few devices also has a row for each device, by device
    holds-<00..15>     one row per device lock
    keys-<00..15>      one row per idempotency key
    firmware           one row per firmware version, and one per other name of it
    pace               what each tick reads at once: the budget, which is what is left of the hub's
                       quotas; the latest freeze; one row per webhook
    quarantine         one row per device that failed, while ROLLOUT_DEVICE_QUARANTINE is set

Numbered partitions are chosen by a hash of the device id or the key. So one query of one
partition finds a device's large rollouts, and one of 100,000 devices writes 64 rows of history
instead of 100,000. Its small rollouts are found by the device.

Row keys must not contain `/ \\ # ?` or control characters (Microsoft Learn, "Understanding the
Table service data model"). Device ids may, so they are escaped.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from functions.rollout_store.ports.rollout_ids import is_rollout_id
from functions.rollouts.model.rollout import RolloutStatus

TABLE = "FleetRollouts"
ROLLOUTS = "rollouts"
ROLLOUT_ROW = "rollout"
# Rollout ids begin with a digit, so their row keys sort before these.
END_ROWS = "e-"
FIRMWARE = "firmware"
CONTROLS = "pace"
BUDGET_ROW = "hub"
QUARANTINE = "quarantine"
FREEZE_ROW = "freeze"
BUCKETS = 16
HISTORY_BUCKETS = 32

# Separates the rollout id from the part's number in a history row.
_SEPARATOR = "~"
# Begin the history rows of small rollouts, and those of one device. Other history rows begin with a
# rollout id, and so with a digit.
_SMALL = "s-"
_DEVICE = "d-"
# Ends the device id in a row key. An escaped id does not contain it.
_END_OF_ID = "!"
_HISTORY_PART = re.compile("[0-9]{3,}")
# A row key holds 1 KiB in UTF-16 (same source): 512 characters.
_MAX_KEY_CHARACTERS = 500


def rollout_partition(rollout_id: str) -> str:
    return f"rollout-{rollout_id}"


def ended_partition(status: RolloutStatus) -> str:
    return f"ended-{status.value}"


def end_row(ended_at: datetime, rollout_id: str) -> str:
    """Return the row key of an ended rollout in the partition `rollouts`. It sorts by time."""
    return f"{end_rows_before(ended_at)}{_SEPARATOR}{rollout_id}"


def end_rows_before(time: datetime) -> str:
    """Return the row key behind those of rollouts that ended before a time."""
    return f"{END_ROWS}{time.astimezone(UTC):%Y%m%dT%H%M%S%f}"


def ended_rollout(row_key: str) -> str:
    """Return the rollout id in the row key of an ended rollout."""
    return row_key.rpartition(_SEPARATOR)[2]


def block_row(number: int) -> str:
    return f"block-{number:05d}"


def block_number(row_key: str) -> int:
    return int(row_key.removeprefix("block-"))


def block_range() -> tuple[str, str]:
    """Return two keys; the row keys of all blocks are strictly between them."""
    return "block-", "block-:"


def target_row(number: int) -> str:
    return f"target-{number:05d}"


def events_row(first: int) -> str:
    """Return the row key of older events. `first` is the number of the first one, from 0."""
    return f"events-{first:06d}"


def events_range() -> tuple[str, str]:
    """Return two keys; the row keys of all older events are strictly between them."""
    return "events-", "events-:"


def firmware_row(version: str) -> str:
    """Return the escaped version, or its hash if that is too long for a row key."""
    row = _escape(version)
    if len(row) <= _MAX_KEY_CHARACTERS:
        return row
    return f"={hashlib.sha256(row.encode()).hexdigest()}"


def webhook_row(name: str) -> str:
    return f"webhook-{name}"


def device_row(device_id: str) -> str:
    """Return the id with all characters but letters, digits, `-._~` escaped as `=XX`."""
    return _escape(device_id)


def history_bucket(device_id: str) -> int:
    return _hash(device_id) % HISTORY_BUCKETS


def history_partition(bucket: int) -> str:
    return f"history-{bucket:02d}"


def history_row(rollout_id: str, part: int) -> str:
    """Return the row key of one part of a rollout's history. It sorts as the rollout's id."""
    return f"{rollout_id}{_SEPARATOR}{part:03d}"


def is_history_row(text: str) -> bool:
    rollout_id, _, part = text.partition(_SEPARATOR)
    return is_rollout_id(rollout_id) and _HISTORY_PART.fullmatch(part) is not None


def history_range(rollout_id: str, *, small: bool = False) -> tuple[str, str]:
    """Return two keys; the history row keys of one rollout are strictly between them.

    With `small`, those that have rows by device beside them.
    """
    first = f"{_SMALL if small else ''}{rollout_id}{_SEPARATOR}"
    return first, f"{first}:"


def history_ranges(rollout_id: str) -> Sequence[tuple[str, str]]:
    """Return pairs of keys; the rollout's history rows of either kind are strictly between them."""
    return [history_range(rollout_id, small=small) for small in (False, True)]


def later_history_ranges(rollout_id: str) -> Sequence[tuple[str, str]]:
    """Return pairs of keys; history of rollouts created after this one is strictly between them."""
    return ("", rollout_id), (_SMALL, f"{_SMALL}{rollout_id}")


def large_history_range(after: str) -> tuple[str, str]:
    """Return two keys; history rows behind `after` without rows by device are between them."""
    return after, ":"


def small_history_row(rollout_id: str, part: int) -> str:
    """Return the row key of one part of a history that has rows by device beside it."""
    return f"{_SMALL}{history_row(rollout_id, part)}"


def device_history_row(device_id: str, rollout_id: str) -> str:
    """Return the row key of one device in one rollout."""
    return f"{_DEVICE}{_escape(device_id)}{_END_OF_ID}{rollout_id}"


def device_history_range(device_id: str, after: str) -> tuple[str, str]:
    """Return two keys; the device's rows of rollouts behind the id `after` are between them."""
    first = f"{_DEVICE}{_escape(device_id)}{_END_OF_ID}"
    return f"{first}{after}", f"{first}:"


def history_rollout(row_key: str) -> str:
    """Return the rollout id in the row key of a history row without a device."""
    return row_key.removeprefix(_SMALL).partition(_SEPARATOR)[0]


def device_lock_partition(device_id: str) -> str:
    return f"holds-{_bucket(device_id)}"


def idempotency_partition(key: str) -> str:
    return f"keys-{_bucket(key)}"


def idempotency_row(key: str) -> str:
    """Return the hash of a key, because a caller's key may be any text."""
    return hashlib.sha256(key.encode()).hexdigest()


def idempotency_partition_of(key_hash: str) -> str:
    """Return the partition of a key from its hash."""
    return f"keys-{bytes.fromhex(key_hash)[0] % BUCKETS:02d}"


def _escape(text: str) -> str:
    return quote(text, safe="").replace("%", "=")


def _bucket(text: str) -> str:
    return f"{_hash(text) % BUCKETS:02d}"


def _hash(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]
