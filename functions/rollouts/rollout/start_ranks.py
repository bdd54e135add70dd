"""Give devices their start ranks, and keep the gate's sequence of their wave.

A device is ranked when its method is sent, before anything is known of its end. If it refuses the
method, or is not reached, it has not started, and its rank is taken back. Once it has accepted the
method it keeps its rank, also when it is tried again.

Only failures of the firmware count in the sequence. Any other end behind an acceptance counts as
healthy: taken out, it would make failures before it weigh more than they did.
"""

from functions.rollouts.model.device_state import FIRMWARE_FAILURES, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_sequence import GateSequence

_HEALTHY = frozenset({DeviceState.SOAKING, DeviceState.COMPLETED})


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
    if rank is None:
        if not started:
            return sequence, new
        sequence = sequence.start()
        rank = sequence.started
    if not started and not new.has_accepted:
        return sequence.release(rank), _with_rank(new, None)
    if failed:
        sequence = sequence.fail(rank)
    elif new.state.ended:
        sequence = sequence.end()
    return sequence, _with_rank(new, rank)


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
    return update.state.in_flight or update.state in _HEALTHY


def _with_rank(update: DeviceUpdate, rank: int | None) -> DeviceUpdate:
    return update if update.start_rank == rank else update._replace(start_rank=rank)
