"""One letter for each state of a device update, with the reason of its end.

A page shows thousands of devices at once; with letters, their states are short texts. Responses
explain the letters that they use, so the letters may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a letter stands for."""

    state: DeviceState | None  # None: not known, because the history does not reach back so far
    reason: ErrorCode | SkipReason | None = None  # why a device failed or is skipped


UNKNOWN = "?"
FAILED = "E"  # without a code
SKIPPED = "0"  # without a reason

MEANINGS: Mapping[str, Meaning] = {
    UNKNOWN: Meaning(None),
    "q": Meaning(DeviceState.QUEUED),
    "d": Meaning(DeviceState.DISPATCHING),
    "a": Meaning(DeviceState.ACCEPTED),
    "l": Meaning(DeviceState.DOWNLOADING),
    "p": Meaning(DeviceState.APPLYING),
    "s": Meaning(DeviceState.SOAKING),
    "c": Meaning(DeviceState.COMPLETED),
    "x": Meaning(DeviceState.CANCELLED),
    FAILED: Meaning(DeviceState.FAILED),
    "R": Meaning(DeviceState.FAILED, ErrorCode.REJECTED),
    "U": Meaning(DeviceState.FAILED, ErrorCode.UNREACHABLE),
    "T": Meaning(DeviceState.FAILED, ErrorCode.TIMED_OUT),
    "F": Meaning(DeviceState.FAILED, ErrorCode.REPORTED),
    "W": Meaning(DeviceState.FAILED, ErrorCode.WENT_DARK),
    "V": Meaning(DeviceState.FAILED, ErrorCode.REVERTED),
    "N": Meaning(DeviceState.FAILED, ErrorCode.WRONG_VERSION),
    SKIPPED: Meaning(DeviceState.SKIPPED),
    "1": Meaning(DeviceState.SKIPPED, SkipReason.SUPERSEDED),
    "2": Meaning(DeviceState.SKIPPED, SkipReason.ALREADY_RUNNING),
    "3": Meaning(DeviceState.SKIPPED, SkipReason.DEVICE_REMOVED),
    "4": Meaning(DeviceState.SKIPPED, SkipReason.DEVICE_DISABLED),
    "5": Meaning(DeviceState.SKIPPED, SkipReason.OFFLINE),
    "6": Meaning(DeviceState.SKIPPED, SkipReason.QUARANTINED),
    "7": Meaning(DeviceState.SKIPPED, SkipReason.DEFERRED),
}
_LETTERS = {(item.state, item.reason): letter for letter, item in MEANINGS.items()}


def letter_of(state: DeviceState, reason: str | None) -> str:
    """Return the letter of a state and its reason. A reason may have no letter of its own."""
    if state not in {DeviceState.FAILED, DeviceState.SKIPPED}:
        return _LETTERS[state, None]
    found = next(
        (item for known, item in _LETTERS if known is state and item == reason and item), None
    )
    return _LETTERS[state, found]
