"""One firmware update, and how a device reads it from a method's payload or a twin."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from device_agent.json_types import JsonObject

# The device reports what it reads here. A hub takes strings of up to 4 KiB in a twin and refuses
# a report with a longer one every time (Microsoft Learn, "Understand and use device twins in
# IoT Hub").
_MAX_TEXT_CHARACTERS = 512
_MAX_ATTEMPT = 2**31 - 1


class FirmwareStatus(StrEnum):
    """The values of the reported property `firmwareStatus`, in the order of an update."""

    STAND_BY = "standBy"
    DOWNLOADING = "downloading"
    APPLYING = "applying"
    COMPLETED = "completed"
    FAILED = "failed"


UNDER_WAY = (FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING)


class InvalidPayloadError(ValueError):
    """A method payload that describes no update; the message is for the method's caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One firmware update. The package's URL is not kept here: it may hold a secret."""

    rollout_id: str | None = None
    """The rollout; None if the caller sent none, as in the tutorial."""
    attempt: int | None = None
    """The attempt, from 1; None without a rollout."""
    version: str | None = None
    """The firmware's version; None if the caller sent none."""

    def __str__(self) -> str:
        version = self.version or "firmware of unknown version"
        if self.rollout_id is None:
            return version
        return f"{version} (rollout {self.rollout_id}, attempt {self.attempt})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateError:
    """Why an update failed."""

    code: str
    """Reported as `errorCode`."""
    message: str
    """Reported as `errorMessage`."""


def read_request(payload: object) -> Update:
    """Read the payload of the direct method `firmwareUpdate`.

    A rolloutId without an attempt is its first attempt. Raises InvalidPayloadError.
    """
    fields = _check_package_uri(payload)
    rollout_id = _read_optional_text(fields, "rolloutId")
    attempt = fields.get("attempt")
    if attempt is not None and not _is_attempt(attempt):
        raise InvalidPayloadError(f"attempt must be a whole number from 1 to {_MAX_ATTEMPT}")
    return Update(
        rollout_id=rollout_id,
        attempt=(attempt or 1) if rollout_id else None,
        version=_read_optional_text(fields, "version"),
    )


def read_tutorial_request(payload: object) -> Update:
    """Read the payload as the tutorial's device does, which knows only `fwPackageUri`.

    Raises InvalidPayloadError.
    """
    _check_package_uri(payload)
    return Update()


def read_reported_update(reported: JsonObject) -> Update | None:
    """Return the latest update in a twin's reported properties; None if they name none.

    Other software may have written the twin, so invalid values count as absent.
    """
    section = reported.get("firmwareUpdate")
    if not isinstance(section, Mapping):
        return None
    rollout_id, attempt = section.get("rolloutId"), section.get("attempt")
    version = section.get("version")
    known = isinstance(rollout_id, str) and _is_attempt(attempt)
    return Update(
        rollout_id=rollout_id if known else None,
        attempt=attempt if known else None,
        version=version if isinstance(version, str) else None,
    )


def _check_package_uri(payload: object) -> JsonObject:
    # The tutorial sends "test.com": any text that is not blank is accepted, not only a URI.
    uri = payload.get("fwPackageUri") if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(uri, str) or not uri.strip():
        raise InvalidPayloadError("fwPackageUri must be a string that is not blank")
    return payload


def _read_optional_text(fields: JsonObject, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidPayloadError(f"{name} must be a string that is not empty")
    if value is not None and len(value) > _MAX_TEXT_CHARACTERS:
        raise InvalidPayloadError(
            f"{name} has {len(value)} characters; at most {_MAX_TEXT_CHARACTERS} are allowed"
        )
    return value


def _is_attempt(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_ATTEMPT
