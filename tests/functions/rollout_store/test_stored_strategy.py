"""The stored strategy: written in the form of the API, and read in the earlier form too."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given

from functions.rollout_store.table_storage import stored_strategy
from functions.rollouts.model.strategy import (
    OnConflict,
    ResolveTarget,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
)
from functions.wire.strategy import StrategySchema
from tests.functions.any_strategy import shares, strategies

# Options that were added after the earlier form.
ADDED: dict[str, Any] = {
    "on_conflict": OnConflict.SUPERSEDE,
    "resolve_target": ResolveTarget.CREATION,
    "verify_version": False,
    "when_already_running": WhenAlreadyRunning.REINSTALL,
    "min_completed": Strategy().min_completed,
}


@given(strategies)
def test_a_strategy_is_stored_in_the_form_of_the_api(strategy: Strategy) -> None:
    stored = stored_strategy.to_text(strategy)
    assert json.loads(stored) == StrategySchema.of(strategy).to_json_value()
    assert stored_strategy.from_text(stored) == strategy


@given(strategies, shares)
def test_a_strategy_in_the_earlier_form_is_read(strategy: Strategy, share: Share) -> None:
    """Check that a rollout keeps to what it was created with before later options existed."""
    expected = replace(strategy, success_share=share, **ADDED)
    assert stored_strategy.from_text(json.dumps(earlier_form(strategy, share))) == expected


def earlier_form(strategy: Strategy, share: Share) -> dict[str, Any]:
    """Return a strategy as releases before decision 0047 wrote it."""
    gate, retry, offline = strategy.failure_gate, strategy.retry, strategy.offline
    return {
        "waves": [_wave(plan) for plan in strategy.waves],
        "successShare": share.hundredths,
        "acceptable": gate.acceptable.hundredths,
        "unacceptable": gate.unacceptable.hundredths,
        "confidence": gate.confidence,
        "onBreach": gate.on_breach.value,
        "stratifyBy": list(strategy.stratify_by),
        "soakSeconds": strategy.soak.total_seconds(),
        "maxInFlight": strategy.max_in_flight,
        "timeoutSeconds": strategy.timeout.total_seconds(),
        "attempts": retry.attempts,
        "retryOn": sorted(retry.on),
        "initialDelaySeconds": retry.initial_delay.total_seconds(),
        "maxDelaySeconds": retry.max_delay.total_seconds(),
        "offline": offline.policy.value,
        "deadlineSeconds": offline.deadline.total_seconds(),
        "window": None if strategy.window is None else _window(strategy.window),
    }


def _wave(plan: WavePlan) -> dict[str, Any]:
    size = plan.size
    measure = {"hundredths": size.hundredths} if isinstance(size, Share) else {"devices": size}
    return {"name": plan.name, "approval": plan.approval, **measure}


def _window(window: Window) -> dict[str, Any]:
    return {
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "timezone": window.timezone,
        "days": sorted(window.days),
    }
