"""Queue ended devices again: the command, and its work block by block.

A large rollout takes several writes. The first one stores the command with a `PendingRetry`, so
that the timer continues after a crash. Each write reopens the waves whose devices it queues; the
rollout does not end before the last write.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.package_uri import redact
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import frozen, status
from functions.rollouts.rollout.operator_commands import (
    Caller,
    NotAllowedError,
    relocate,
    require,
)
from functions.rollouts.rollout.stops import acknowledge

# Another attempt would be skipped again for the same reason. A superseded device is skipped again
# only if its later rollout still counts.
_FINAL_SKIPS = frozenset({SkipReason.ALREADY_RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The devices that a retry is for."""

    states: frozenset[RetryState] = frozenset({RetryState.FAILED})
    devices: Mapping[int, DeviceSet] | None = None  # by block; None: all devices in these states


def retry(
    rollout: Rollout,
    now: datetime,
    caller: Caller,
    selection: Selection,
    package_uri: str | None = None,
) -> Rollout:
    """Accept the retry; `requeue_blocks` queues its devices. Raises NotAllowedError.

    Failures that are known by now are acknowledged: the gate would stop the retry. With a
    `package_uri`, all devices that start from now on get their package from there.
    """
    check_allowed(rollout)
    if not _count(rollout, selection):
        raise NotAllowedError(_describe_nothing(rollout, selection))
    what = f"{_describe(rollout, selection)} queued again by {caller.name}"
    if package_uri is not None:
        rollout = relocate(rollout, package_uri)
        what += f", with the package from {redact(package_uri)}"
    again = replace(
        rollout,
        waves=tuple(map(_acknowledge_failures, rollout.waves)),
        retry=PendingRetry(states=selection.states, devices=selection.devices),
        ended_at=None,
    )
    again = _acknowledge_strata(again, now)
    if again.status not in {RolloutStatus.RUNNING, RolloutStatus.PAUSED}:
        # A rollout that was cancelled before its start time still waits for that.
        begun = RolloutStatus.RUNNING if again.started_at else RolloutStatus.SCHEDULED
        again = status.move(again, begun, status_reason=None)
    return add_event(again, now, "retried", caller.message(what), caller.name)


def check_allowed(rollout: Rollout) -> None:
    """Raise NotAllowedError if no device of the rollout may be queued again now."""
    _refuse_undone(rollout)
    require(
        rollout,
        "retry",
        RolloutStatus.RUNNING,
        RolloutStatus.PAUSED,
        RolloutStatus.COMPLETED,
        RolloutStatus.FAILED,
        RolloutStatus.CANCELLED,
    )
    if rollout.retry is not None:
        raise NotAllowedError("Another retry is still queueing devices; try again in a minute.")
    if rollout.status is RolloutStatus.CANCELLED and rollout.counts.queued:
        raise NotAllowedError(
            "Devices are still being cancelled, or an earlier attempt of theirs is followed to its"
            " end; try again once the rollout has ended."
        )


def requeue_blocks(
    moment: Moment, rollout: Rollout, blocks: Iterable[Block], *, is_last: bool
) -> tuple[Rollout, Mapping[int, Block]]:
    """Queue the devices of the rollout's retry that are in `blocks`, and reopen their waves.

    Return the changed rollout, and the changed blocks by number. With `is_last` the retry ends.
    """
    pending = rollout.retry
    if pending is None or rollout.status is RolloutStatus.CANCELLED:  # cancelled meanwhile
        return replace(rollout, retry=None), {}
    is_named = pending.devices is not None
    undone = frozen.undone_strata(rollout)
    queue_again = partial(requeue, moment, pending.states, is_named=is_named, undone=undone)
    changed: dict[int, Block] = {}
    for block in blocks:
        if block.number < pending.next_block:
            continue
        chosen = None if pending.devices is None else pending.devices.get(block.number, NO_DEVICES)
        after = block.apply(queue_again, chosen)
        if after is not block:
            changed[block.number] = after
            rollout = _reopen_waves(rollout, block, after)
        pending = replace(pending, next_block=block.number + 1)
    rollout = replace(rollout, retry=None if is_last else pending)
    return (_pass_other_waves(rollout) if is_last else rollout), changed


def is_selected(
    update: DeviceUpdate, states: frozenset[RetryState], undone: Collection[int] = ()
) -> bool:
    """Return whether a retry for `states` queues this device again.

    Devices of the strata `undone`, which are rolled back, are not sent the firmware again.
    """
    return (
        update.state.value in states
        and update.skip_reason not in _FINAL_SKIPS
        and update.stratum not in undone
    )


def _refuse_undone(rollout: Rollout) -> None:
    """Raise NotAllowedError if a retry would send firmware that is being undone, or was."""
    match rollout.rollback:
        case RolledBack(rollback_id):
            what = f"The rollout was rolled back by rollout {rollback_id}"
        case RollbackDue():
            what = "The rollout is being rolled back"
        case None:
            return
    raise NotAllowedError(
        f"{what}, and a retry would send firmware {rollout.firmware.version} again. Create a new"
        " rollout for the devices that are to run it."
    )


def _count(rollout: Rollout, selection: Selection) -> int:
    if selection.devices is not None:
        return sum(map(len, selection.devices.values()))
    return sum(_count_by_state(rollout, state) for state in selection.states)


def _count_by_state(rollout: Rollout, state: RetryState) -> int:
    """Count the devices in a state, without those of strata that are rolled back."""
    return int(getattr(rollout.counts, state.value)) - _count_undone(rollout, state)


def _count_undone(rollout: Rollout, state: RetryState) -> int:
    parts = (frozen.stratum_counts(rollout, item) for item in frozen.undone_strata(rollout))
    return sum(getattr(part, state.value) for part in parts)


def _describe(rollout: Rollout, selection: Selection) -> str:
    states = " or ".join(sorted(selection.states))
    return texts.count(_count(rollout, selection), f"{states} device")


def _describe_nothing(rollout: Rollout, selection: Selection) -> str:
    states = " or ".join(sorted(selection.states))
    if any(_count_undone(rollout, state) for state in selection.states):
        return f"No other device of the rollout is {states}. {_describe_undone(rollout)}"
    others = [
        f"{count} {state.value}"
        for state in RetryState
        if state not in selection.states and (count := _count_by_state(rollout, state))
    ]
    hint = f" It has {', '.join(others)}: name these states in `states`." if others else ""
    return f"No device of the rollout is {states}.{hint}"


def _describe_undone(rollout: Rollout) -> str:
    """Say that devices of strata that are rolled back are not queued again."""
    undone = frozen.undone_strata(rollout)
    strata = ("Stratum {} is" if len(undone) == 1 else "Strata {} are").format(
        frozen.names_of(rollout, undone)
    )
    return (
        f"{strata} rolled back, and a retry would send firmware {rollout.firmware.version} again."
        " Create a new rollout for the devices that are to run it."
    )


def _acknowledge_failures(wave: Wave) -> Wave:
    if not wave.counts.failed or wave.status is WaveStatus.PENDING:
        return wave
    return replace(
        wave,
        acknowledged_failed=wave.counts.failed,
        acknowledged_not_started=wave.not_started,
        sequence=wave.sequence.restart(),
        strata=tuple(part.acknowledge() for part in wave.strata),
    )


def _acknowledge_strata(rollout: Rollout, now: datetime) -> Rollout:
    """Acknowledge the failures of strata that are not frozen; frozen ones need a resume."""
    for number, gate in enumerate(rollout.stratum_gates):
        freeze = gate.frozen
        if freeze is not None and freeze.is_cancelled and freeze.rollback is None:
            # Its devices that are queued again wait for a resume; they are not cancelled again.
            waits = replace(gate, frozen=replace(freeze, is_cancelled=False))
            rollout = frozen.change_gate(rollout, number, waits)
        if freeze is None and gate.sequence.failures:
            rollout = frozen.acknowledge_stratum(rollout, number, now)
    return rollout


def _reopen_waves(rollout: Rollout, before: Block, after: Block) -> Rollout:
    """Reopen the waves of the devices that were queued again."""
    pairs = zip(before.updates, after.updates, strict=True)
    queued = [old for old, new in pairs if old is not new]
    failed = Counter(item.wave for item in queued if item.state is DeviceState.FAILED)
    for number in {item.wave for item in queued}:
        wave = rollout.waves[number]
        if wave.status is WaveStatus.PENDING:
            continue
        reopened = status.move_wave(
            wave,
            WaveStatus.RUNNING,
            ended_at=None,
            acknowledged_failed=max(0, wave.acknowledged_failed - failed[number]),
        )
        rollout = status.change_wave(rollout, number, reopened)
    return rollout


def _pass_other_waves(rollout: Rollout) -> Rollout:
    """Pass the failed waves of which no device was chosen; nothing else would open the next."""
    if rollout.status is not RolloutStatus.RUNNING:
        return rollout
    return replace(
        rollout,
        waves=tuple(
            acknowledge(wave, frozen=frozen.count_frozen_queued(rollout, wave))
            for wave in rollout.waves
        ),
    )


def requeue(
    moment: Moment,
    states: frozenset[RetryState],
    update: DeviceUpdate,
    *,
    is_named: bool = False,
    undone: Collection[int] = (),
) -> DeviceUpdate:
    """Queue a device again, with the next attempt. `is_named`: the retry names its devices."""
    if not is_selected(update, states, undone):
        return update
    # A failure that the device reported ended its attempt; a cancel need not follow that one.
    kept = "failed" if update.firmware_status == "failed" else None
    return moves.next_attempt(
        moment,
        update,
        "Queued again by a retry.",
        None,
        named_by_retry=is_named,
        attempts_used=0,
        delays=0,
        waiting_since=None,
        offline=False,
        error=None,
        skip_reason=None,
        ended_at=None,
        soak_until=None,
        firmware_status=kept,
    )
