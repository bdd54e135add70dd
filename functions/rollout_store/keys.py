"""Every name in Table Storage: the table, partition keys, row keys.

One table. Partitions:

    rollouts           a row for each rollout, newest first: the list, and which are open
    rollout-<id>       all of one rollout, so that it can be written together:
                         rollout          its record, with the devices of up to one block
                         block-<00000>    the device updates of a block each
                         target-<00000>   who was meant, part by part, of a large rollout
                         events-<000000>  older lines of its audit trail
    history-<00..15>   a row for each device update, by device id, newest first
    holds-<00..15>     a row for each device that one rollout at a time must have in hand
    keys-<00..15>      a row for each idempotency key
    firmware           a row for each firmware version that a rollout named
    pace               one row: what is left of the hub's quotas

Those with numbers are spread by a hash, so that no partition becomes hot.

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

_END_OF_TIME_MS = 10**14  # in the year 5138; subtracting from it makes the newest sort first
_ROLLOUT_ID = re.compile(r"[0-9]{14}-[0-9a-f]{12}")
# Ends a device id in a history row; no escaped device id holds it.
_END = "~"


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
    return device_row(version)


def device_row(device_id: str) -> str:
    """`device_id` with all but letters, digits, `-`, `.` and `_` as `=XX`."""
    return quote(device_id, safe="").replace(_END, "%7E").replace("%", "=")


def history_partition(device_id: str) -> str:
    return f"history-{_bucket(device_id)}"


def history_row(device_id: str, rollout_id: str) -> str:
    return f"{device_row(device_id)}{_END}{rollout_id}"


def history_range(device_id: str) -> tuple[str, str]:
    """One device's row keys lie strictly between the two; a rollout id starts with a digit."""
    start = f"{device_row(device_id)}{_END}"
    return start, f"{start}:"


def hold_partition(device_id: str) -> str:
    return f"holds-{_bucket(device_id)}"


def idempotency_partition(key: str) -> str:
    return f"keys-{_bucket(key)}"


def idempotency_row(key: str) -> str:
    """A caller's idempotency key may be any text; its hash is a fit name."""
    return hashlib.sha256(key.encode()).hexdigest()


def _bucket(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"{digest[0] % BUCKETS:02d}"
