"""The manifest of one firmware package: what the publisher vouches for, as JSON and as a record."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from semver import Version

from signed_firmware.errors import ManifestError, Refusal
from signed_firmware.strict_json import MAX_INTEGER, parse_json_object

MAX_TEXT_CHARACTERS = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One release for one or more models of device.

    `sequence` rises with every release; `expires_at` is UTC in whole seconds; `minimum_version` is
    SemVer 2.0.
    """

    version: str
    sha256: str
    size_bytes: int
    models: tuple[str, ...]
    sequence: int
    expires_at: datetime
    minimum_version: str | None = None
    allow_downgrade: bool = False

    def to_json(self) -> str:
        """The payload that is signed, without members that say only what their absence says."""
        members: dict[str, Any] = {
            "version": self.version,
            "sha256": self.sha256,
            "sizeBytes": self.size_bytes,
            "models": list(self.models),
            "sequence": self.sequence,
            "expiresAt": format_time(self.expires_at),
        }
        if self.minimum_version is not None:
            members["minimumVersion"] = self.minimum_version
        if self.allow_downgrade:
            members["allowDowngrade"] = True
        return json.dumps(members, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a payload; members it does not know are ignored, as in JWT (RFC 7519, 4).

        Raises ManifestError with `manifestInvalid`, naming the member.
        """
        try:
            members = parse_json_object(text)
        except ValueError as error:
            raise _invalid(f"the payload cannot be read: {error}") from None
        return cls(
            version=_text(members, "version"),
            sha256=_sha256(members),
            size_bytes=_positive(members, "sizeBytes"),
            models=_models(members),
            sequence=_positive(members, "sequence"),
            expires_at=_time(members, "expiresAt"),
            minimum_version=_minimum_version(members),
            allow_downgrade=_flag(members, "allowDowngrade"),
        )


def format_time(moment: datetime) -> str:
    """`2027-01-01T00:00:00Z`: the only form that a manifest takes."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read what `format_time` writes. Raises ValueError for every other form."""
    try:
        moment = datetime.fromisoformat(text)
        if format_time(moment) == text:
            return moment
    except (ValueError, OverflowError):
        pass
    raise ValueError("not a time like 2027-01-01T00:00:00Z")


def _text(members: dict[str, Any], name: str) -> str:
    return _checked_text(members.get(name), name)


def _checked_text(value: object, name: str) -> str:
    # What is not printable could forge lines in a device's log.
    if isinstance(value, str) and value.isprintable() and 1 <= len(value) <= MAX_TEXT_CHARACTERS:
        return value
    raise _invalid(f"{name} must be a text of 1 to {MAX_TEXT_CHARACTERS} printable characters")


def _sha256(members: dict[str, Any]) -> str:
    value = members.get("sha256")
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise _invalid("sha256 must be 64 lower-case hex digits")


def _positive(members: dict[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is int and 1 <= value <= MAX_INTEGER:
        return value
    raise _invalid(f"{name} must be a whole number from 1 to 2^53 - 1")


def _models(members: dict[str, Any]) -> tuple[str, ...]:
    value = members.get("models")
    if not isinstance(value, list) or not value:
        raise _invalid("models must be a list of at least one model")
    return tuple(_checked_text(model, "each of models") for model in value)


def _time(members: dict[str, Any], name: str) -> datetime:
    try:
        return parse_time(_text(members, name))
    except ValueError as error:
        raise _invalid(f"{name} is {error}") from None


def _minimum_version(members: dict[str, Any]) -> str | None:
    if "minimumVersion" not in members:
        return None
    value = _text(members, "minimumVersion")
    try:
        Version.parse(value)
    except ValueError:
        raise _invalid("minimumVersion must be a SemVer 2.0 version") from None
    return value


def _flag(members: dict[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if isinstance(value, bool):
        return value
    raise _invalid(f"{name} must be true or false")


def _invalid(message: str) -> ManifestError:
    return ManifestError(Refusal.MANIFEST_INVALID, message)
