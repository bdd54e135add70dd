"""Strategies as earlier releases stored them: read, and never written.

The form before decision 0047 is flat, with durations in seconds and shares in hundredths of a
percent.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from functions.rollouts.model.strategy import Share
from functions.wire.fields import duration_text

# What a rollout was created with before these options existed. It keeps to that: a release must not
# fail the devices of a rollout that is under way because of the names of their versions.
EARLIER_RULES: Mapping[str, Any] = {"verifyVersion": False, "whenAlreadyRunning": "reinstall"}


def is_earlier(value: Mapping[str, Any]) -> bool:
    """Return whether a stored strategy has the earlier form."""
    return "soakSeconds" in value


def to_wire_form(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a strategy of the earlier form as a request would send it."""
    return {
        "waves": [_wave(wave) for wave in value["waves"]],
        "successShare": _share(value["successShare"]),
        "failureGate": {
            "acceptable": _share(value["acceptable"]),
            "unacceptable": _share(value["unacceptable"]),
            "confidence": value["confidence"],
            "onBreach": value["onBreach"],
        },
        "stratifyBy": value["stratifyBy"],
        "soak": _duration(value["soakSeconds"]),
        "maxInFlight": value["maxInFlight"],
        "timeout": _duration(value["timeoutSeconds"]),
        "retry": {
            "attempts": value["attempts"],
            "on": value["retryOn"],
            "initialDelay": _duration(value["initialDelaySeconds"]),
            "maxDelay": _duration(value["maxDelaySeconds"]),
        },
        "offline": {"policy": value["offline"], "deadline": _duration(value["deadlineSeconds"])},
        "window": None if value["window"] is None else _window(value["window"]),
    }


def _wave(value: Mapping[str, Any]) -> dict[str, Any]:
    size = value["devices"] if "devices" in value else _share(value["hundredths"])
    return {"name": value["name"], "size": size, "approval": value["approval"]}


def _window(value: Mapping[str, Any]) -> dict[str, Any]:
    return {**value, "start": value["start"][:5], "end": value["end"][:5]}


def _share(hundredths: int) -> str:
    return str(Share(hundredths))


def _duration(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds))
