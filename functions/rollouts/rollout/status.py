"""Set the status of a rollout or a wave, here and nowhere else, by the tables of allowed moves."""

from dataclasses import replace
from typing import Any

from functions.rollouts.model.allowed_moves import check_move
from functions.rollouts.model.rollout import STATUS_MOVES, Rollout, RolloutStatus
from functions.rollouts.model.wave import WAVE_MOVES, Wave, WaveStatus


def move(rollout: Rollout, status: RolloutStatus, **changes: Any) -> Rollout:
    """Set a rollout's status, with other changes of its fields.

    A rollout may keep its status. Only a paused one keeps its stops. Raises IllegalMoveError for a
    move that is not in STATUS_MOVES.
    """
    if status is not rollout.status:
        check_move(STATUS_MOVES, rollout.status, status)
    stops = rollout.stops if status is RolloutStatus.PAUSED else ()
    return replace(rollout, status=status, stops=stops, **changes)


def move_wave(wave: Wave, status: WaveStatus, **changes: Any) -> Wave:
    """Set a wave's status, with other changes of its fields.

    A wave may keep its status. Raises IllegalMoveError for a move that is not in WAVE_MOVES.
    """
    if status is not wave.status:
        check_move(WAVE_MOVES, wave.status, status)
    return replace(wave, status=status, **changes)


def change_wave(rollout: Rollout, number: int, wave: Wave) -> Rollout:
    """Replace one wave of a rollout."""
    waves = list(rollout.waves)
    waves[number] = wave
    return replace(rollout, waves=tuple(waves))
