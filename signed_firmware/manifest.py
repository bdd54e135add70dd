"""The manifest of a firmware package: what its publisher states, as a record and as JSON."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from semver import Version

from signed_firmware.errors import ManifestError, Refusal
from signed_firmware.strict_json import MAX_INTEGER, parse_json_object

# Long enough for versions and models, short enough for logs.
MAX_TEXT_CHARACTERS = 64
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A release for one or more models of device."""

    version: str
    """The firmware's version, free text."""
    sha256: str
    """The package's SHA-256 in lower-case hexadecimal digits."""
    size_bytes: int
    """The package's size in bytes."""
    models: tuple[str, ...]
    """The models of device that may install the release."""
    sequence: int
    """A number that increases with every release; devices compare it."""
    expires_at: datetime
    """When devices stop accepting the manifest; UTC in whole seconds."""
    minimum_version: str | None = None
    """The version, SemVer 2.0, that a device must run at least; None allows any."""
    allow_downgrade: bool = False
    """Whether devices that have confirmed a higher sequence accept the release."""

    def to_json(self) -> str:
        """Return the payload to sign, without fields that have their default."""
        fields: dict[str, Any] = {
            "version": self.version,
            "sha256": self.sha256,
            "sizeBytes": self.size_bytes,
            "models": list(self.models),
            "sequence": self.sequence,
            "expiresAt": format_time(self.expires_at),
        }
        if self.minimum_version is not None:
            fields["minimumVersion"] = self.minimum_version
        if self.allow_downgrade:
            fields["allowDowngrade"] = True
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a payload; unknown fields are ignored, as in JWT (RFC 7519, 4).

        Raises ManifestError with `manifestInvalid` and the name of the field.
        """
        try:
            fields = parse_json_object(text)
        except ValueError as error:
            raise _invalid(f"the payload cannot be read: {error}") from None
        return cls(
            version=_read_text(fields, "version"),
            sha256=_read_sha256(fields),
            size_bytes=_read_positive(fields, "sizeBytes"),
            models=_read_models(fields),
            sequence=_read_positive(fields, "sequence"),
            expires_at=_read_time(fields, "expiresAt"),
            minimum_version=_read_minimum_version(fields),
            allow_downgrade=_read_flag(fields, "allowDowngrade"),
        )


def format_time(moment: datetime) -> str:
    """Format a time as `2027-01-01T00:00:00Z`, the only form that manifests allow."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Parse what `format_time` returns. Raises ValueError for every other form."""
    try:
        moment = datetime.fromisoformat(text)
        if format_time(moment) == text:
            return moment
    except (ValueError, OverflowError):
        pass
    raise ValueError("not a valid time such as 2027-01-01T00:00:00Z")


def _read_text(fields: dict[str, Any], name: str) -> str:
    return _check_text(fields.get(name), name)


def _check_text(value: object, name: str) -> str:
    # Unprintable characters could forge lines in a device's log.
    if isinstance(value, str) and value.isprintable() and 1 <= len(value) <= MAX_TEXT_CHARACTERS:
        return value
    raise _invalid(f"{name} must be a string of 1 to {MAX_TEXT_CHARACTERS} printable characters")


def _read_sha256(fields: dict[str, Any]) -> str:
    value = fields.get("sha256")
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise _invalid("sha256 must be 64 lower-case hexadecimal digits")


def _read_positive(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is int and 1 <= value <= MAX_INTEGER:
        return value
    raise _invalid(f"{name} must be a whole number from 1 to 2^53 - 1")


def _read_models(fields: dict[str, Any]) -> tuple[str, ...]:
    value = fields.get("models")
    if not isinstance(value, list) or not value:
        raise _invalid("models must be a list with at least one model")
    return tuple(_check_text(model, "each of models") for model in value)


def _read_time(fields: dict[str, Any], name: str) -> datetime:
    try:
        return parse_time(_read_text(fields, name))
    except ValueError as error:
        raise _invalid(f"{name} is {error}") from None


def _read_minimum_version(fields: dict[str, Any]) -> str | None:
    if "minimumVersion" not in fields:
        return None
    value = _read_text(fields, "minimumVersion")
    try:
        Version.parse(value)
    except ValueError:
        raise _invalid("minimumVersion must be a SemVer 2.0 version such as 2.0.0") from None
    return value


def _read_flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if isinstance(value, bool):
        return value
    raise _invalid(f"{name} must be true or false")


def _invalid(message: str) -> ManifestError:
    return ManifestError(Refusal.MANIFEST_INVALID, message)
