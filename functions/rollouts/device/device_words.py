"""Texts that devices write: foreign input that ends in logs, tables and API responses."""

import re

from functions.rollouts.device.foreign_values import to_mapping, to_text, to_word
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.texts import HIDDEN

MAX_TEXT = 300  # characters kept of a text
_NOT_DEFERRED = frozenset({"", "false", "no", "0", "{}", "[]"})
_HIDDEN = re.compile(rf"[{HIDDEN}\ud800-\udfff]+")


def text(said: str) -> str:
    """Return a device's text, cut to `MAX_TEXT`, with a space for characters that are hidden."""
    said = said[:MAX_TEXT]
    return said if said.isascii() and said.isprintable() else _HIDDEN.sub(" ", said)


def describe_refusal(response: MethodResponse) -> str:
    """Return a sentence that the device refused the update, with the reasons that it gives."""
    code, words = _field(response, "errorCode"), _field(response, "Response")
    reasons = ", ".join(part for part in (code, words) if part)
    status = f"The device refused the update with status {response.status}"
    return f"{status}: {reasons}." if reasons else f"{status}."


def describe_deferral(response: MethodResponse) -> str | None:
    """Return why the device defers the update, or None if it does not.

    `deferred` is the reason as one word; `true` defers without one.
    """
    code, words = _field(response, "deferred"), _field(response, "Response")
    if to_word(code) in _NOT_DEFERRED:
        return None
    reason = "" if to_word(code) == "true" else f" ({code})"
    return f"The device is not ready{reason}{f': {words}' if words else ''}."


def _field(response: MethodResponse, name: str) -> str:
    """Return a field of the response, ready for a sentence; empty if the response has none."""
    said = to_text(to_mapping(response.payload).get(name))
    return text(said).strip().removesuffix(".")
