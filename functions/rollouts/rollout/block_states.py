"""Shorten a block to the states of its devices, as they are or as they were at a time."""

from collections import Counter
from datetime import datetime

from functions.rollouts.model.block import Block
from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.state_letters import MEANINGS, UNKNOWN, letter_of

_JUDGED = (DeviceState.COMPLETED, DeviceState.FAILED)


def states_of(block: Block, revision: int, at: datetime | None = None) -> BlockStates:
    """Return the states of a block's devices; with `at`, as they were then."""
    shown = [(_letter(update, at), update) for update in block.updates]
    return BlockStates(
        number=block.number,
        revision=revision,
        letters="".join(letter for letter, _ in shown),
        versions=tuple(update.previous_version for update in block.updates),
        strata=tuple(update.stratum for update in block.updates),
        started=Counter(
            update.dispatched_at
            for update in block.updates
            if update.dispatched_at is not None and (at is None or update.dispatched_at <= at)
        ),
        ended=tuple(
            (update.ended_at, update.state is DeviceState.COMPLETED)
            for update in block.updates
            if update.state in _JUDGED
            and update.ended_at is not None
            and (at is None or update.ended_at <= at)
        ),
        examples={
            letter: update.device_id
            for letter, update in reversed(shown)
            if MEANINGS[letter].state is DeviceState.FAILED
        },
    )


def _letter(update: DeviceUpdate, at: datetime | None) -> str:
    """Return the letter of a device; at an earlier time, by the last history entry before it."""
    reason: str | None = update.skip_reason
    if update.error is not None:
        reason = update.error.code
    if at is None:
        return letter_of(update.state, reason)
    past = [entry for entry in update.history if entry.at <= at]
    if not past:
        return UNKNOWN
    is_latest = len(past) == len(update.history)
    return letter_of(past[-1].state, reason if is_latest else None)
