"""Give devices their start ranks, and keep the gate's sequence of their wave.

A device is ranked when its method is sent, before anything is known of its end. If it refuses the
method, or is not reached, it has not started, and its rank is taken back. Once it has accepted the
method it keeps its rank, also when it is tried again.

Only failures of the firmware count in the sequence. Any other end behind an acceptance counts as
healthy: taken out, it would make failures before it weigh more than they did.
"""

from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_sequence import GateSequence

FIRMWARE_FAILURES = frozenset(
    {
        ErrorCode.REPORTED,
        ErrorCode.REVERTED,
        ErrorCode.WRONG_VERSION,
        ErrorCode.WENT_DARK,
        ErrorCode.TIMED_OUT,
    }
)
"""The failures that come after a device has accepted the method."""

_ACCEPTED = DeviceState.ACCEPTED.rank


def is_firmware_failure(update: DeviceUpdate) -> bool:
    """Return whether the update failed after its device had accepted the method."""
    return (
        update.state is DeviceState.FAILED
        and update.error is not None
        and update.error.code in FIRMWARE_FAILURES
    )


def follow(
    sequence: GateSequence, old: DeviceUpdate, new: DeviceUpdate
) -> tuple[GateSequence, DeviceUpdate]:
    """Follow a change of a device's state. Return the sequence, and the update with its rank."""
    if old.state.ended:
        return _follow_ended(sequence, old, new)
    rank, failed = old.start_rank, is_firmware_failure(new)
    started = failed or _has_started(new)
    accepted = old.has_accepted or (started and new.state.rank >= _ACCEPTED)
    if rank is None:
        if not started:
            return sequence, new
        sequence = sequence.start()
        rank = sequence.started
    if not started and not accepted:
        return sequence.release(rank), _with_rank(new, None, accepted=False)
    if failed:
        sequence = sequence.fail(rank)
    elif new.state.ended:
        sequence = sequence.end()
    return sequence, _with_rank(new, rank, accepted=accepted)


def _follow_ended(
    sequence: GateSequence, old: DeviceUpdate, new: DeviceUpdate
) -> tuple[GateSequence, DeviceUpdate]:
    """Follow a device that is tried again, or a failed one that completes late."""
    if old.start_rank is None:
        return sequence, new
    if new.state is DeviceState.QUEUED:
        return sequence.try_again(old.start_rank), new
    return sequence.withdraw(old.start_rank), new


def _has_started(update: DeviceUpdate) -> bool:
    """Return whether the method may have been sent, and the device has not failed."""
    state = update.state
    return state.in_flight or state in {DeviceState.SOAKING, DeviceState.COMPLETED}


def _with_rank(update: DeviceUpdate, rank: int | None, *, accepted: bool) -> DeviceUpdate:
    if update.start_rank == rank and update.has_accepted is accepted:
        return update
    return update._replace(start_rank=rank, has_accepted=accepted)
