"""What a device knows about one firmware update, and how it reads that from others' JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

type Json = Mapping[str, Any]

# What is read here is reported: a hub takes texts of 4 KiB in a twin, and refuses a report with a
# longer one every time (Microsoft Learn, "Understand and use device twins in IoT Hub").
_TEXT_CHARACTERS = 512
_LARGEST_COUNT = 2**31 - 1


class FirmwareStatus(StrEnum):
    """The words a device reports as `firmwareStatus`, in the order of an update."""

    STAND_BY = "standBy"
    DOWNLOADING = "downloading"
    APPLYING = "applying"
    COMPLETED = "completed"
    FAILED = "failed"


UNDER_WAY = (FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING)


class InvalidPayloadError(ValueError):
    """A method payload that a device cannot start an update from; the message is for the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One firmware update; every field is None for a caller that knows only the tutorial.

    The package's address is checked and dropped: it may carry a signature that belongs in no log.
    """

    rollout_id: str | None = None
    attempt: int | None = None
    version: str | None = None

    def __str__(self) -> str:
        version = self.version or "firmware of unknown version"
        if self.rollout_id is None:
            return version
        return f"{version} (rollout {self.rollout_id}, attempt {self.attempt})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateError:
    """Why an update failed, as reported in `errorCode` and `errorMessage`."""

    code: str
    message: str


def read_request(payload: object) -> Update:
    """Read the payload of the direct method `firmwareUpdate`.

    A rolloutId without an attempt is its first attempt. Raises InvalidPayloadError.
    """
    fields = _with_package_uri(payload)
    rollout_id = _optional_text(fields, "rolloutId")
    attempt = fields.get("attempt")
    if attempt is not None and not _is_count(attempt):
        raise InvalidPayloadError("attempt must be a whole number from 1 to 2147483647")
    return Update(
        rollout_id=rollout_id,
        attempt=(attempt or 1) if rollout_id else None,
        version=_optional_text(fields, "version"),
    )


def read_tutorial_request(payload: object) -> Update:
    """Read the payload as a device does that knows `fwPackageUri` and nothing else.

    Raises InvalidPayloadError.
    """
    _with_package_uri(payload)
    return Update()


def read_reported_update(reported: Json) -> Update | None:
    """The latest update that a twin's reported properties tell of, if any.

    A twin may hold anything, for other software may have written it: what does not fit is as good
    as absent.
    """
    section = reported.get("firmwareUpdate")
    if not isinstance(section, Mapping):
        return None
    rollout_id, attempt = section.get("rolloutId"), section.get("attempt")
    version = section.get("version")
    known = isinstance(rollout_id, str) and _is_count(attempt)
    return Update(
        rollout_id=rollout_id if known else None,
        attempt=attempt if known else None,
        version=version if isinstance(version, str) else None,
    )


def _with_package_uri(payload: object) -> Json:
    # The tutorial sends "test.com": a device insists on some text, not on an absolute URI.
    uri = payload.get("fwPackageUri") if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or not isinstance(uri, str) or not uri.strip():
        raise InvalidPayloadError("fwPackageUri must be a text that is not empty")
    return payload


def _optional_text(fields: Json, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidPayloadError(f"{name} must be a text that is not empty")
    if value is not None and len(value) > _TEXT_CHARACTERS:
        raise InvalidPayloadError(f"{name} must have {_TEXT_CHARACTERS} characters at most")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST_COUNT
