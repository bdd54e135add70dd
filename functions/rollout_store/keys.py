"""Every name in Table Storage: the table, partition keys, row keys.

One table. Partitions:

    rollouts           a row for each rollout, newest first: the list, and which are open
    rollout-<id>       all of one rollout, so that it can be written together:
                         rollout          its record, with the devices of up to one block
                         block-<00000>    the device updates of a block each
                         target-<00000>   who was meant, part by part, of a large rollout
                         events-<000000>  older lines of its audit trail
    history-<00..31>   of each rollout, newest first, which of the devices of this number are in it
    holds-<00..15>     a row for each device that one rollout at a time must have in hand
    keys-<00..15>      a row for each idempotency key
    firmware           a row for each firmware version that a rollout named
    pace               one row: what is left of the hub's quotas

Those with numbers are spread by a hash of the device id or the key. A device's history is so
found in one partition, and a rollout of 100,000 devices writes 64 rows of history, not 100,000.

Row keys may not hold `/ \\ # ?` or control characters (Microsoft Learn, "Understanding the Table
service data model"), which device ids may; so device ids are escaped.
"""

import hashlib
import re
import secrets
from datetime import datetime
from urllib.parse import quote

TABLE = "FleetRollouts"
ROLLOUTS = "rollouts"
ROLLOUT_ROW = "rollout"
FIRMWARE = "firmware"
PACE = "pace"
PACE_ROW = "hub"
BUCKETS = 16
HISTORY_BUCKETS = 32

_END_OF_TIME_MS = 10**14  # in the year 5138; subtracting from it makes the newest sort first
_ROLLOUT_ID = re.compile(r"[0-9]{14}-[0-9a-f]{12}")
# Ends a rollout id in a history row.
_END = "~"
_HISTORY_ROW = re.compile(rf"{_ROLLOUT_ID.pattern}{_END}[0-9]{{3,}}")
# A row key has at most 1 KiB in UTF-16.
_KEY_CHARACTERS = 500


def new_rollout_id(now: datetime) -> str:
    """An id that sorts newest first and cannot be guessed: inverted milliseconds, random part."""
    inverted = _END_OF_TIME_MS - int(now.timestamp() * 1000)
    return f"{inverted:014d}-{secrets.token_hex(6)}"


def is_rollout_id(text: str) -> bool:
    """Whether `text` has the form of a rollout id; anything else cannot be stored."""
    return _ROLLOUT_ID.fullmatch(text) is not None


def rollout_partition(rollout_id: str) -> str:
    return f"rollout-{rollout_id}"


def block_row(number: int) -> str:
    return f"block-{number:05d}"


def block_number(row_key: str) -> int:
    return int(row_key.removeprefix("block-"))


def block_range() -> tuple[str, str]:
    """All blocks' row keys lie strictly between the two."""
    return "block-", "block-:"


def target_row(number: int) -> str:
    return f"target-{number:05d}"


def events_row(first: int) -> str:
    """The row of older events, of which the oldest is the rollout's `first`th, from 0."""
    return f"events-{first:06d}"


def events_range() -> tuple[str, str]:
    """All events rows' keys lie strictly between the two."""
    return "events-", "events-:"


def firmware_row(version: str) -> str:
    """A device may call its version anything: one whose name is too long goes by its hash."""
    row = device_row(version)
    return row if len(row) <= _KEY_CHARACTERS else f"={hashlib.sha256(row.encode()).hexdigest()}"


def device_row(device_id: str) -> str:
    """`device_id` with all but letters, digits, `-`, `.`, `_` and `~` as `=XX`."""
    return quote(device_id, safe="").replace("%", "=")


def history_bucket(device_id: str) -> int:
    return _hash(device_id) % HISTORY_BUCKETS


def history_partition(bucket: int) -> str:
    return f"history-{bucket:02d}"


def history_row(rollout_id: str, part: int) -> str:
    """Newest first, as rollout ids are; most rollouts have one part."""
    return f"{rollout_id}{_END}{part:03d}"


def is_history_row(text: str) -> bool:
    return _HISTORY_ROW.fullmatch(text) is not None


def history_range(rollout_id: str) -> tuple[str, str]:
    """One rollout's row keys lie strictly between the two."""
    return f"{rollout_id}{_END}", f"{rollout_id}{_END}:"


def hold_partition(device_id: str) -> str:
    return f"holds-{_bucket(device_id)}"


def idempotency_partition(key: str) -> str:
    return f"keys-{_bucket(key)}"


def idempotency_row(key: str) -> str:
    """A caller's idempotency key may be any text; its hash is a fit name."""
    return hashlib.sha256(key.encode()).hexdigest()


def _bucket(text: str) -> str:
    return f"{_hash(text) % BUCKETS:02d}"


def _hash(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]
