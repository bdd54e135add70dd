"""The states of a device update, and the allowed moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class DeviceState(StrEnum):
    """The state of a device update, in the order in which it moves."""

    QUEUED = "queued"  # the direct method was not sent in this attempt
    DISPATCHING = "dispatching"  # the direct method may have been sent; its response is not known
    ACCEPTED = "accepted"  # the device accepted the direct method, and has reported no stage yet
    DOWNLOADING = "downloading"
    APPLYING = "applying"
    SOAKING = "soaking"  # runs the new firmware, and must stay healthy for a while
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"  # never sent, because the rollout was cancelled
    SKIPPED = "skipped"  # the rollout leaves it out; `SkipReason` says why

    @property
    def ended(self) -> bool:
        return self in ENDED

    @property
    def in_flight(self) -> bool:
        """Return whether the device is updating, or may be."""
        return self in IN_FLIGHT

    @property
    def rank(self) -> int:
        """Return the position between queued and an end; it never falls within one attempt."""
        return _RANK[self]


ENDED = frozenset(
    {DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.CANCELLED, DeviceState.SKIPPED}
)
IN_FLIGHT = frozenset(
    {
        DeviceState.DISPATCHING,
        DeviceState.ACCEPTED,
        DeviceState.DOWNLOADING,
        DeviceState.APPLYING,
    }
)
_RANK: Mapping[DeviceState, int] = {
    DeviceState.QUEUED: 0,
    DeviceState.DISPATCHING: 1,
    DeviceState.ACCEPTED: 2,
    DeviceState.DOWNLOADING: 3,
    DeviceState.APPLYING: 4,
    DeviceState.SOAKING: 5,
    DeviceState.COMPLETED: 6,
    DeviceState.FAILED: 6,
    DeviceState.CANCELLED: 6,
    DeviceState.SKIPPED: 6,
}

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
    DeviceState.FAILED: frozenset({DeviceState.QUEUED}),
    DeviceState.CANCELLED: frozenset(),
    DeviceState.SKIPPED: frozenset(),
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


class SkipReason(StrEnum):
    """Why a rollout leaves a device out."""

    SUPERSEDED = "superseded"  # a later rollout has reached it, or is meant to
    ALREADY_RUNNING = "alreadyRunning"  # runs the requested version
    DEVICE_REMOVED = "deviceRemoved"  # no longer in the hub's identity registry
    DEVICE_DISABLED = "deviceDisabled"  # disabled in the hub's identity registry
    OFFLINE = "offline"  # offline when it should start, and the strategy does not wait
    DEFERRED = "deferred"  # the device deferred the update until the deadline
