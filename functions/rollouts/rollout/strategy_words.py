"""Describe a changed strategy for the audit trail: each field with its old and its new value."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import time, timedelta
from typing import Any

from functions.rollouts.model import texts
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Day, FailureGate, WavePlan, Window
from functions.rollouts.model.wave import Wave, WaveStatus

# Waves of one list that are named; more are counted. An event stays short.
MAX_NAMED = 5


def describe_changes(before: Rollout, after: Rollout) -> str:
    """Return what differs between the strategies. Example: "maxInFlight none -> 20"."""
    parts = []
    for name, old, new in _differences(before.strategy, after.strategy):
        shown = (_list_waves(before), _list_waves(after)) if name == "waves" else (old, new)
        parts.append(f"{name} {' -> '.join(map(_value, shown))}")
    return ", ".join(parts)


def _differences(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Return name, old and new value of each field that differs, also inside the failure gate."""
    for item in fields(old):
        was, is_now = getattr(old, item.name), getattr(new, item.name)
        if was == is_now:
            continue
        name = _camel(item.name)
        if isinstance(was, FailureGate):
            inner = _differences(was, is_now)
            yield from ((f"{name}.{part}", one, other) for part, one, other in inner)
            continue
        yield name, was, is_now


def _list_waves(rollout: Rollout) -> Sequence[Wave | WavePlan]:
    """Return the waves that have not opened; the plans if the target is not resolved yet."""
    if not rollout.waves:
        return rollout.strategy.waves
    return [wave for wave in rollout.waves if wave.status is WaveStatus.PENDING]


def _value(value: Any) -> str:
    match value:
        case None:
            return "none"
        case timedelta():
            return texts.duration(value)
        case Window():
            return _window(value)
        case list() | tuple():
            return _waves(value)
    return str(value)


def _window(window: Window) -> str:
    days = "".join(f" {day}" for day in Day if day in window.days)
    return f"{_clock(window.start)}-{_clock(window.end)} {window.timezone}{days}"


def _clock(value: time) -> str:
    return f"{value:%H:%M}"


def _waves(waves: Sequence[Wave | WavePlan]) -> str:
    if not waves:
        return "one"
    named = [_wave(wave) for wave in waves[:MAX_NAMED]]
    more = f" and {len(waves) - MAX_NAMED} more" if len(waves) > MAX_NAMED else ""
    return f"{' + '.join(named)}{more}"


def _wave(wave: Wave | WavePlan) -> str:
    approval = ", approval" if wave.approval else ""
    return f"{wave.name or 'wave'} ({wave.size}{approval})"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
