"""The states of a device update, and the allowed moves between them."""

from collections.abc import Mapping
from enum import StrEnum

_SOAK, _END = 5, 6  # ranks


class DeviceState(StrEnum):
    """The state of a device update, in the order in which it moves.

    `rank` is the position between queued and an end; it never falls within one attempt.
    `in_flight` says whether the device is updating, or may be.
    """

    rank: int
    ended: bool
    in_flight: bool

    QUEUED = "queued", 0  # the direct method was not sent in this attempt
    DISPATCHING = "dispatching", 1  # the method may have been sent; its response is not known
    ACCEPTED = "accepted", 2  # the device accepted the method, and has reported no stage yet
    DOWNLOADING = "downloading", 3
    APPLYING = "applying", 4
    SOAKING = "soaking", _SOAK  # runs the new firmware, and must stay healthy for a while
    COMPLETED = "completed", _END + 1  # a late success follows a failure
    FAILED = "failed", _END
    CANCELLED = "cancelled", _END  # never sent, because the rollout was cancelled
    SKIPPED = "skipped", _END  # the rollout leaves it out; `SkipReason` says why

    def __new__(cls, value: str, rank: int = 0) -> "DeviceState":
        """Make a state. Attributes are read some hundred times for each device of a rollout."""
        state = str.__new__(cls, value)
        state._value_ = value
        state.rank = rank
        state.ended = rank >= _END
        state.in_flight = 0 < rank < _SOAK
        return state


ENDED = frozenset(state for state in DeviceState if state.ended)
IN_FLIGHT = frozenset(state for state in DeviceState if state.in_flight)

MOVES: Mapping[DeviceState, frozenset[DeviceState]] = {
    DeviceState.QUEUED: frozenset(
        {
            DeviceState.DISPATCHING,
            # An earlier attempt succeeded after all; its stages enter the history.
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.CANCELLED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.DISPATCHING: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.ACCEPTED,
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.ACCEPTED: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.DOWNLOADING,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.DOWNLOADING: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.APPLYING,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.APPLYING: frozenset(
        {
            DeviceState.QUEUED,
            DeviceState.SOAKING,
            DeviceState.COMPLETED,
            DeviceState.FAILED,
            DeviceState.SKIPPED,
        }
    ),
    DeviceState.SOAKING: frozenset(
        {DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.SKIPPED}
    ),
    DeviceState.COMPLETED: frozenset(),
    # These three by a retry; a failed device may also complete late.
    DeviceState.FAILED: frozenset({DeviceState.QUEUED, DeviceState.COMPLETED}),
    DeviceState.CANCELLED: frozenset({DeviceState.QUEUED}),
    DeviceState.SKIPPED: frozenset({DeviceState.QUEUED}),
}
"""The states that may follow each state. A move back to queued begins the next attempt."""


class ErrorCode(StrEnum):
    """Why a device update failed."""

    REJECTED = "rejected"  # the device refused the direct method
    UNREACHABLE = "unreachable"  # no response ever came, or the hub does not deliver the method
    TIMED_OUT = "timedOut"  # accepted and connected, but not finished within the timeout
    REPORTED = "reported"  # the device itself reported a failure
    WENT_DARK = "wentDark"  # accepted or completed, but offline when its timeout or soak ended
    REVERTED = "reverted"  # runs the old version again
    WRONG_VERSION = "wrongVersion"  # reports neither the requested nor the old version


FIRMWARE_FAILURES = frozenset(
    {
        ErrorCode.REPORTED,
        ErrorCode.REVERTED,
        ErrorCode.WRONG_VERSION,
        ErrorCode.WENT_DARK,
        ErrorCode.TIMED_OUT,
    }
)
"""The failures that come after a device has accepted the method: those that the gate counts."""


class SkipReason(StrEnum):
    """Why a rollout leaves a device out."""

    SUPERSEDED = "superseded"  # a later rollout has reached it, or is meant to
    ALREADY_RUNNING = "alreadyRunning"  # runs the requested version
    DEVICE_REMOVED = "deviceRemoved"  # no longer in the hub's identity registry
    DEVICE_DISABLED = "deviceDisabled"  # disabled in the hub's identity registry
    OFFLINE = "offline"  # offline when it should start, and the strategy does not wait
    QUARANTINED = "quarantined"  # failed in several rollouts lately
    DEFERRED = "deferred"  # the device deferred the update until the deadline
