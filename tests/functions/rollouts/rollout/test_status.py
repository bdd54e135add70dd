"""The status of a rollout and of a wave changes only as the tables of allowed moves say."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from functions.rollouts.model.allowed_moves import IllegalMoveError
from functions.rollouts.model.rollout import STATUS_MOVES, RolloutStatus
from functions.rollouts.model.wave import WAVE_MOVES, WaveStatus
from functions.rollouts.rollout import status
from tests.functions.builders import make_rollout, make_wave

FUNCTIONS = Path(__file__).parents[4] / "functions"
MODULES_THAT_SET_STATUS = {
    "rollouts/rollout/status.py",
    "rollouts/device/moves.py",
}


@pytest.mark.parametrize("after", RolloutStatus)
@pytest.mark.parametrize("before", RolloutStatus)
def test_a_rollout_moves_only_as_its_table_allows(
    before: RolloutStatus, after: RolloutStatus
) -> None:
    rollout = make_rollout(status=before)
    if after is before or after in STATUS_MOVES[before]:
        assert status.move(rollout, after) == replace(rollout, status=after)
    else:
        with pytest.raises(IllegalMoveError, match=f"from {before} to {after}"):
            status.move(rollout, after)


@pytest.mark.parametrize("after", WaveStatus)
@pytest.mark.parametrize("before", WaveStatus)
def test_a_wave_moves_only_as_its_table_allows(before: WaveStatus, after: WaveStatus) -> None:
    wave = make_wave(status=before)
    if after is before or after in WAVE_MOVES[before]:
        assert status.move_wave(wave, after) == replace(wave, status=after)
    else:
        with pytest.raises(IllegalMoveError, match=f"from {before} to {after}"):
            status.move_wave(wave, after)


def test_only_two_modules_set_a_status_or_a_state() -> None:
    """Find the calls of `replace(..., status=...)` and `_replace(state=...)`."""
    setters = {
        str(path.relative_to(FUNCTIONS))
        for path in FUNCTIONS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _sets_status(node)
    }
    assert setters == MODULES_THAT_SET_STATUS


def _sets_status(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    changed = {keyword.arg for keyword in call.keywords}
    return (name == "replace" and "status" in changed) or (
        name == "_replace" and "state" in changed
    )
