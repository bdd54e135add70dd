"""Texts that devices write: foreign input that ends in logs, tables and API responses."""

import re
from collections.abc import Mapping
from typing import Any

from functions.rollouts.model.method_outcome import MethodResponse

MAX_TEXT = 300  # characters kept of a text
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def text(said: str) -> str:
    """Return a device's text, cut to `MAX_TEXT` and without control characters."""
    return _CONTROL.sub(" ", said[:MAX_TEXT])


def describe_refusal(response: MethodResponse) -> str:
    """Return a sentence that the device refused the update, with the reasons that it gives."""
    code, words = _field(response, "errorCode"), _field(response, "Response")
    reasons = ", ".join(part for part in (code, words) if part)
    status = f"The device refused the update with status {response.status}"
    return f"{status}: {reasons}." if reasons else f"{status}."


def describe_deferral(response: MethodResponse) -> str | None:
    """Return why the device defers the update, or None if it does not."""
    code, words = _field(response, "deferred"), _field(response, "Response")
    if not code:
        return None
    return f"The device is not ready ({code}){f': {words}' if words else ''}."


def _field(response: MethodResponse, name: str) -> str:
    """Return a text of the response, ready for a sentence; empty if it has no such text."""
    said: Any = response.payload.get(name) if isinstance(response.payload, Mapping) else None
    return text(said).strip().removesuffix(".") if isinstance(said, str) else ""
