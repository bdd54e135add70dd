"""A move that its table does not allow is a mistake in the code."""

import pytest

from functions.rollouts.model.allowed_moves import IllegalMoveError, check_move
from functions.rollouts.model.device_state import MOVES, DeviceState
from functions.rollouts.model.rollout import STATUS_MOVES, RolloutStatus


def test_an_allowed_move_passes() -> None:
    check_move(MOVES, DeviceState.QUEUED, DeviceState.DISPATCHING)
    check_move(STATUS_MOVES, RolloutStatus.RUNNING, RolloutStatus.PAUSED)


def test_another_move_is_refused_with_its_states() -> None:
    with pytest.raises(IllegalMoveError, match="DeviceState must not move from completed to queu"):
        check_move(MOVES, DeviceState.COMPLETED, DeviceState.QUEUED)
    with pytest.raises(IllegalMoveError, match="RolloutStatus must not move from failed to paused"):
        check_move(STATUS_MOVES, RolloutStatus.FAILED, RolloutStatus.PAUSED)
