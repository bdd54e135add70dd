"""Make and recognise ids of rollouts. Their order as text is newest first."""

import re
import secrets
from datetime import UTC, datetime, timedelta

_END_OF_TIME_MS = 10**14  # in the year 5138; subtracting from it makes the newest sort first
_ROLLOUT_ID = re.compile(r"[0-9]{14}-[0-9a-f]{12}")


def new_rollout_id(now: datetime) -> str:
    """Return an id that cannot be guessed: inverted milliseconds, then 48 random bits."""
    inverted = _END_OF_TIME_MS - int(now.timestamp() * 1000)
    return f"{inverted:014d}-{secrets.token_hex(6)}"


def created_at(rollout_id: str) -> datetime:
    """Return when a rollout id was made, to the millisecond."""
    milliseconds = _END_OF_TIME_MS - int(rollout_id.partition("-")[0])
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def is_rollout_id(text: str) -> bool:
    """Return whether `text` has the form of a rollout id."""
    return _ROLLOUT_ID.fullmatch(text) is not None
