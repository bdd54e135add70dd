"""Read the signed manifest of a firmware, to find mistakes before devices do.

A manifest is a JWS in compact serialization (RFC 7515): header, payload and signature, each in
base64url. The backend holds no keys, so only devices verify the signature.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout

# A direct method's payload may have 128 KiB, a table's row 1 MiB. A usual manifest has 0.5 KiB.
MAX_CHARACTERS = 16 * 1024
TYPE = "firmware-manifest+jws"
PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"
_SIGNATURE_CHARACTERS = 86  # the 64 bytes of Ed25519
_MAX_INTEGER = 2**53 - 1  # the largest that every JSON reader keeps exact (RFC 8259, section 6)
_MAX_TEXT_CHARACTERS = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_NUMBER = r"(0|[1-9][0-9]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)


class ManifestError(ValueError):
    """A text is not a valid manifest; the message names what is wrong."""


class DifferingError(ValueError):
    """Fields of a firmware differ from its manifest; `differences` holds a message by field."""

    def __init__(self, differences: Mapping[str, str]) -> None:
        super().__init__(f"the firmware and its manifest differ in {', '.join(differences)}")
        self.differences = differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the publisher has signed about a firmware."""

    version: str
    sha256: str  # of the package, in lower-case hex digits
    size_bytes: int  # of the package
    sequence: int  # rises with every release
    expires_at: datetime  # devices refuse the manifest from then on
    allow_downgrade: bool  # whether a device with a higher sequence may accept it

    @property
    def expires_at_text(self) -> str:
        """Return the time as the manifest writes it. Example: "2027-01-01T00:00:00Z"."""
        return self.expires_at.isoformat().replace("+00:00", "Z")


def get(firmware: Firmware) -> Manifest | None:
    """Return the manifest of a firmware, or None if the firmware has none."""
    return None if firmware.manifest is None else read(firmware.manifest)


@lru_cache(maxsize=256)
def expires_at(text: str) -> datetime:
    """Return when a manifest expires; every change of a rollout needs that. Raises ManifestError.

    Example: "...eyJleHBpcmVzQXQi..." -> 2027-01-01 00:00 UTC.
    """
    return read(text).expires_at


def complete(firmware: Firmware) -> Firmware:
    """Return the firmware with the hash and size of its manifest. Raises DifferingError."""
    manifest = get(firmware)
    if manifest is None:
        return firmware
    differences = dict(_compare(firmware, manifest))
    if differences:
        raise DifferingError(differences)
    return replace(firmware, sha256=manifest.sha256, size_bytes=manifest.size_bytes)


def _compare(firmware: Firmware, manifest: Manifest) -> Iterator[tuple[str, str]]:
    pairs: Mapping[str, tuple[str | int | None, str | int]] = {
        "version": (firmware.version, manifest.version),
        "sha256": (firmware.sha256, manifest.sha256),
        "sizeBytes": (firmware.size_bytes, manifest.size_bytes),
    }
    for field, (requested, signed) in pairs.items():
        if requested is not None and requested != signed:
            yield field, f"differs from the manifest, which has {signed}"


def read(text: str) -> Manifest:
    """Return the manifest in a JWS, without verifying the signature. Raises ManifestError."""
    if len(text) > MAX_CHARACTERS:
        raise ManifestError(f"must be a manifest of at most {MAX_CHARACTERS} characters")
    if not re.fullmatch(PATTERN[1:-1], text):
        raise _invalid("a JWS has three parts in base64url, separated by dots")
    header, payload, signature = text.split(".")
    _check(_decode(header, "header"), _HEADER, "header")
    fields = _decode(payload, "payload")
    _check(fields, _PAYLOAD, "payload")
    if len(signature) != _SIGNATURE_CHARACTERS:
        raise _invalid(f"a signature has {_SIGNATURE_CHARACTERS} characters")
    return Manifest(
        version=fields["version"],
        sha256=fields["sha256"],
        size_bytes=fields["sizeBytes"],
        sequence=fields["sequence"],
        expires_at=datetime.fromisoformat(fields["expiresAt"]),
        allow_downgrade=fields.get("allowDowngrade", False),
    )


def refusal_reason(firmware: Firmware, undone: Rollout, now: datetime) -> str | None:
    """Return why devices that `undone` has updated would refuse `firmware`, or None.

    Only the manifests are checked.
    """
    manifest = get(firmware)
    if manifest is None:
        return None
    if manifest.expires_at <= now:
        return f"its manifest expired at {manifest.expires_at_text}"
    accepted = [get(item) for item in undone.packages]
    highest = max((item.sequence for item in accepted if item), default=0)
    if manifest.sequence < highest and not manifest.allow_downgrade:
        return (
            f"its manifest has sequence {manifest.sequence}, below {highest}, which devices have"
            " accepted, and does not allow the downgrade"
        )
    return None


def _invalid(why: str) -> ManifestError:
    return ManifestError(f"must be a signed firmware manifest: {why}")


def _decode(part: str, name: str) -> dict[str, Any]:
    try:
        decoded = base64.urlsafe_b64decode(f"{part}==").decode()  # needless padding is ignored
        value = json.loads(decoded, object_pairs_hook=_read_object, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise _invalid(f"its {name} is not JSON in base64url") from None
    if not isinstance(value, dict):
        raise _invalid(f"its {name} is not a JSON object")
    return value


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject an object with a duplicate name (RFC 7515, section 4). Raises ValueError."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("an object has a duplicate name")
    return dict(pairs)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


@dataclass(frozen=True, slots=True)
class _FieldRule:
    """What a field of the header or the payload must be."""

    is_valid: Callable[[Any], bool]  # tests the field's value
    what: str  # for messages: a valid value in words
    required: bool = True


def _check(fields: Mapping[str, Any], rules: Mapping[str, _FieldRule], part: str) -> None:
    for name, rule in rules.items():
        is_present = name in fields
        if (is_present and not rule.is_valid(fields[name])) or (rule.required and not is_present):
            raise _invalid(f"{name} of its {part} must be {rule.what}")


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str) and value.isprintable() and 1 <= len(value) <= _MAX_TEXT_CHARACTERS
    )


def _is_positive(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MAX_INTEGER


def _are_models(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_HEADER: Mapping[str, _FieldRule] = {
    "alg": _FieldRule(lambda value: value == "EdDSA", "EdDSA"),
    "typ": _FieldRule(lambda value: value == TYPE, TYPE),
    "kid": _FieldRule(lambda value: isinstance(value, str) and bool(value), "the name of a key"),
    "crit": _FieldRule(lambda _: False, "left out", required=False),
    "b64": _FieldRule(lambda value: value is True, "left out", required=False),
}
_WHOLE = _FieldRule(_is_positive, "a whole number from 1 to 2^53 - 1")
_TEXT = _FieldRule(_is_text, f"a text of 1 to {_MAX_TEXT_CHARACTERS} printable characters")
_PAYLOAD: Mapping[str, _FieldRule] = {
    "version": _TEXT,
    "sha256": _FieldRule(
        lambda value: isinstance(value, str) and bool(_SHA256.fullmatch(value)),
        "64 lower-case hex digits",
    ),
    "sizeBytes": _WHOLE,
    "models": _FieldRule(_are_models, "a list of at least one model"),
    "sequence": _WHOLE,
    "expiresAt": _FieldRule(_is_time, "a time like 2027-01-01T00:00:00Z"),
    "minimumVersion": _FieldRule(
        lambda value: isinstance(value, str) and bool(_SEMVER.fullmatch(value)),
        "a version like 2.0.0",
        required=False,
    ),
    "allowDowngrade": _FieldRule(
        lambda value: isinstance(value, bool), "true or false", required=False
    ),
}
