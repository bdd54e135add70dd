"""How a changed strategy is told in an event."""

from datetime import time, timedelta
from typing import Any

import pytest

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    OnBreach,
    Strategy,
    WavePlan,
    Window,
    percent,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout.strategy_words import describe_changes
from tests.functions.builders import make_rollout, make_wave

NIGHT = Window(start=time(22), end=time(4, 30), timezone="UTC", days=frozenset({Day.FRI, Day.MON}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"max_in_flight": 20}, "maxInFlight none -> 20"),
        ({"soak": timedelta(minutes=10)}, "soak 0 s -> 10 min"),
        ({"window": NIGHT}, "window none -> 22:00-04:30 UTC Mon Fri"),
        (
            {"success_share": percent(50), "min_completed": 3},
            "successShare none -> 50%, minCompleted 25% -> 3",
        ),
        (
            {"failure_gate": FailureGate(confidence=0.9, on_breach=OnBreach.CANCEL)},
            "failureGate.confidence 0.95 -> 0.9, failureGate.onBreach pause -> cancel",
        ),
        (
            {"failure_gate": FailureGate(confidence=0.9), "timeout": timedelta(minutes=30)},
            "failureGate.confidence 0.95 -> 0.9, timeout 1 h -> 30 min",
        ),
    ],
)
def test_each_field_that_differs_is_told_with_both_values(
    fields: dict[str, Any], words: str
) -> None:
    after = make_rollout(strategy=Strategy(**fields))
    assert describe_changes(make_rollout(), after) == words


def test_waves_that_have_not_opened_are_told_with_their_devices() -> None:
    pending: dict[str, Any] = {"status": WaveStatus.PENDING}
    before = make_rollout(make_wave(2, name="a"), make_wave(8, name="rest", **pending))
    after = make_rollout(
        make_wave(2, name="a"),
        make_wave(3, name="b", approval=True, **pending),
        make_wave(5, name="rest", **pending),
        strategy=Strategy(waves=(WavePlan(size=1),)),
    )
    assert describe_changes(before, after) == "waves rest (8) -> b (3, approval) + rest (5)"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "one"),
        (1, "wave (1)"),
        (5, "wave (1) + wave (1) + wave (1) + wave (1) + wave (1)"),
        (7, "wave (1) + wave (1) + wave (1) + wave (1) + wave (1) and 2 more"),
    ],
)
def test_the_plans_of_a_rollout_without_waves_are_told(count: int, words: str) -> None:
    before = make_rollout(waves=(), strategy=Strategy(waves=(WavePlan(size=9, name="x"),)))
    after = make_rollout(waves=(), strategy=Strategy(waves=(WavePlan(size=1),) * count))
    assert describe_changes(before, after) == f"waves x (9) -> {words}"
