"""The signed manifest of a firmware, read without its key: to find mistakes before devices do.

A JWS in compact serialization (RFC 7515): header, payload and signature, each in base64url. This
side holds no keys; whether the signature fits is for each device to judge.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout

# A direct method's payload has 128 KiB, a table's row a mebibyte; a manifest takes half a KiB.
MAX_CHARACTERS = 16 * 1024
TYPE = "firmware-manifest+jws"
PATTERN = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"
_SIGNATURE_CHARACTERS = 86  # the 64 bytes of Ed25519
_LARGEST_INTEGER = 2**53 - 1
_TEXT_AT_MOST = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_NUMBER = r"(0|[1-9][0-9]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)


class ManifestError(ValueError):
    """A text that no device would take for a manifest; the message names what is wrong."""


class DifferingError(ValueError):
    """Firmware that says something else than its manifest: field by field, what differs."""

    def __init__(self, differences: Mapping[str, str]) -> None:
        super().__init__(f"the firmware and its manifest differ in {', '.join(differences)}")
        self.differences = differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the publisher vouches for. `sequence` rises with every release."""

    version: str
    sha256: str
    size_bytes: int
    sequence: int
    expires_at: datetime
    allow_downgrade: bool

    @property
    def expires_at_text(self) -> str:
        """As the manifest has it."""
        return self.expires_at.isoformat().replace("+00:00", "Z")


def of(firmware: Firmware) -> Manifest | None:
    """The manifest that goes with the firmware, if one does."""
    return None if firmware.manifest is None else read(firmware.manifest)


def complete(firmware: Firmware) -> Firmware:
    """The firmware with what only its manifest says. Raises DifferingError."""
    manifest = of(firmware)
    if manifest is None:
        return firmware
    differences = dict(_differences(firmware, manifest))
    if differences:
        raise DifferingError(differences)
    return replace(firmware, sha256=manifest.sha256, size_bytes=manifest.size_bytes)


def _differences(firmware: Firmware, manifest: Manifest) -> Iterator[tuple[str, str]]:
    pairs: Mapping[str, tuple[str | int | None, str | int]] = {
        "version": (firmware.version, manifest.version),
        "sha256": (firmware.sha256, manifest.sha256),
        "sizeBytes": (firmware.size_bytes, manifest.size_bytes),
    }
    for field, (said, signed) in pairs.items():
        if said is not None and said != signed:
            yield field, f"differs from the manifest, which says {signed}"


def read(text: str) -> Manifest:
    """Raises ManifestError."""
    if len(text) > MAX_CHARACTERS:
        raise ManifestError(f"must be a manifest of at most {MAX_CHARACTERS} characters")
    if not re.fullmatch(PATTERN[1:-1], text):
        raise _no_manifest("a JWS is three parts in base64url with dots between them")
    header, payload, signature = text.split(".")
    _check(_object(header, "header"), _HEADER, "header")
    members = _object(payload, "payload")
    _check(members, _PAYLOAD, "payload")
    if len(signature) != _SIGNATURE_CHARACTERS:
        raise _no_manifest(f"a signature has {_SIGNATURE_CHARACTERS} characters")
    return Manifest(
        version=members["version"],
        sha256=members["sha256"],
        size_bytes=members["sizeBytes"],
        sequence=members["sequence"],
        expires_at=datetime.fromisoformat(members["expiresAt"]),
        allow_downgrade=members.get("allowDowngrade", False),
    )


def refusal(firmware: Firmware, undone: Rollout, now: datetime) -> str | None:
    """Why devices that `undone` has updated would not take `firmware`, as far as manifests say."""
    manifest = of(firmware)
    if manifest is None:
        return None
    if manifest.expires_at <= now:
        return f"its manifest expired at {manifest.expires_at_text}"
    taken = [of(item) for item in (undone.firmware, *undone.definition.earlier_firmware)]
    highest = max((item.sequence for item in taken if item), default=0)
    if manifest.sequence < highest and not manifest.allow_downgrade:
        return (
            f"its manifest has sequence {manifest.sequence}, below {highest}, which devices have"
            " taken, and does not allow the downgrade"
        )
    return None


def _no_manifest(why: str) -> ManifestError:
    return ManifestError(f"must be a signed firmware manifest: {why}")


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(decoded, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _no_manifest(f"its {name} is no JSON in base64url") from None
    if not isinstance(value, dict):
        raise _no_manifest(f"its {name} is no JSON object")
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which one of two members they take (RFC 7515, section 4)."""
    if len(dict(members)) != len(members):
        raise ValueError("a member is named twice")
    return dict(members)


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


@dataclass(frozen=True, slots=True)
class _Member:
    fits: Callable[[Any], bool]
    what: str
    required: bool = True


def _check(members: Mapping[str, Any], known: Mapping[str, _Member], part: str) -> None:
    for name, member in known.items():
        there = name in members
        if (there and not member.fits(members[name])) or (member.required and not there):
            raise _no_manifest(f"{name} of its {part} must be {member.what}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 1 <= len(value) <= _TEXT_AT_MOST


def _is_positive(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_INTEGER


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


_HEADER: Mapping[str, _Member] = {
    "alg": _Member(lambda value: value == "EdDSA", "EdDSA"),
    "typ": _Member(lambda value: value == TYPE, TYPE),
    "kid": _Member(lambda value: isinstance(value, str) and bool(value), "the name of a key"),
    "crit": _Member(lambda _: False, "left out", required=False),
    "b64": _Member(lambda value: value is True, "left out", required=False),
}
_WHOLE = _Member(_is_positive, "a whole number from 1 to 2^53 - 1")
_TEXT = _Member(_is_text, f"a text of 1 to {_TEXT_AT_MOST} printable characters")
_PAYLOAD: Mapping[str, _Member] = {
    "version": _TEXT,
    "sha256": _Member(
        lambda value: isinstance(value, str) and bool(_SHA256.fullmatch(value)),
        "64 lower-case hex digits",
    ),
    "sizeBytes": _WHOLE,
    "models": _Member(_are_models, "a list of at least one model"),
    "sequence": _WHOLE,
    "expiresAt": _Member(_is_time, "a time like 2027-01-01T00:00:00Z"),
    "minimumVersion": _Member(
        lambda value: isinstance(value, str) and bool(_SEMVER.fullmatch(value)),
        "a version like 2.0.0",
        required=False,
    ),
    "allowDowngrade": _Member(
        lambda value: isinstance(value, bool), "true or false", required=False
    ),
}
