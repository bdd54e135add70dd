"""A strategy as JSON in a column, both ways: durations in seconds, shares in hundredths."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    Window,
)


def to_json(strategy: Strategy) -> dict[str, Any]:
    gate, retry, offline = strategy.failure_gate, strategy.retry, strategy.offline
    return {
        "waves": [_wave(plan) for plan in strategy.waves],
        "successShare": strategy.success_share.hundredths,
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


def from_json(value: Mapping[str, Any]) -> Strategy:
    return Strategy(
        waves=tuple(map(_wave_from, value["waves"])),
        success_share=Share(value["successShare"]),
        failure_gate=FailureGate(
            acceptable=Share(value["acceptable"]),
            unacceptable=Share(value["unacceptable"]),
            confidence=value["confidence"],
            on_breach=OnBreach(value["onBreach"]),
        ),
        stratify_by=tuple(value["stratifyBy"]),
        soak=_seconds(value["soakSeconds"]),
        max_in_flight=value["maxInFlight"],
        timeout=_seconds(value["timeoutSeconds"]),
        retry=Retry(
            attempts=value["attempts"],
            on=frozenset(RetryOn(word) for word in value["retryOn"]),
            initial_delay=_seconds(value["initialDelaySeconds"]),
            max_delay=_seconds(value["maxDelaySeconds"]),
        ),
        offline=Offline(
            policy=OfflinePolicy(value["offline"]), deadline=_seconds(value["deadlineSeconds"])
        ),
        window=None if value["window"] is None else _window_from(value["window"]),
    )


def _wave(plan: WavePlan) -> dict[str, Any]:
    size = plan.size
    measure = {"hundredths": size.hundredths} if isinstance(size, Share) else {"devices": size}
    return {"name": plan.name, "approval": plan.approval, **measure}


def _wave_from(value: Mapping[str, Any]) -> WavePlan:
    size = value["devices"] if "devices" in value else Share(value["hundredths"])
    return WavePlan(size=size, name=value["name"], approval=value["approval"])


def _window(window: Window) -> dict[str, Any]:
    return {
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "timezone": window.timezone,
        "days": sorted(window.days),
    }


def _window_from(value: Mapping[str, Any]) -> Window:
    return Window(
        start=time.fromisoformat(value["start"]),
        end=time.fromisoformat(value["end"]),
        timezone=value["timezone"],
        days=frozenset(Day(day) for day in value["days"]),
    )


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)
