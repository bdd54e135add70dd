"""What devices say in words of their own: foreign input that ends in logs, tables and answers."""

import re
from collections.abc import Mapping
from typing import Any

from functions.rollouts.model.method_outcome import MethodResponse

TEXT_AT_MOST = 300  # characters kept of a text
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def text(said: str) -> str:
    """A device's text, cut and without control characters."""
    return _CONTROL.sub(" ", said[:TEXT_AT_MOST])


def refusal(answer: MethodResponse) -> str:
    """That the device refused the update, and why as far as it says so."""
    code, response = _told(answer, "errorCode"), _told(answer, "Response")
    words = ", ".join(part for part in (code, response) if part)
    status = f"The device refused the update with status {answer.status}"
    return f"{status}: {words}." if words else f"{status}."


def deferral(answer: MethodResponse) -> str | None:
    """That a device which might begin later cannot now, and why; None where it says no such."""
    code, response = _told(answer, "deferred"), _told(answer, "Response")
    if not code:
        return None
    return f"The device is not ready ({code}){f': {response}' if response else ''}."


def _told(answer: MethodResponse, name: str) -> str:
    """A text of the answer, ready for a sentence; empty where there is none."""
    said: Any = answer.payload.get(name) if isinstance(answer.payload, Mapping) else None
    return text(said).strip().removesuffix(".") if isinstance(said, str) else ""
