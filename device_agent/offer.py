"""The package of an update: where it is, and what is known of it before the download."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from device_agent.json_types import JsonObject
from device_agent.update import InvalidPayloadError, Update

_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A firmware image that was downloaded."""

    version: str
    """The firmware's version."""
    sha256: str
    """SHA-256 in lower-case hexadecimal digits."""
    size_bytes: int
    """The size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One update with its package, as a method requested it."""

    update: Update
    """The update."""
    url: str = field(repr=False)
    """The package's URL; it may hold a secret, so it is never shown."""
    sha256: str | None = None
    """SHA-256 in lower-case hexadecimal digits; None if unknown."""
    size_bytes: int | None = None
    """The size in bytes; None if unknown."""
    manifest: str | None = field(default=None, repr=False)
    """The signed manifest; None if unsigned."""
    sequence: int | None = None
    """The manifest's sequence; None before the manifest is verified."""

    @property
    def source(self) -> str:
        """Identifies the package, to recognise a part of it on the disk; holds no secret.

        Without a hash it identifies only the URL; the server's entity tag must then decide.
        """
        return self.sha256 or hashlib.sha256(redact_url(self.url).encode()).hexdigest()


def redact_url(url: str) -> str:
    """Return `url` without the parts that may be secret: user, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_offer(payload: object, update: Update) -> Offer:
    """Read what a method's payload says of the package. Raises InvalidPayloadError."""
    fields: JsonObject = payload if isinstance(payload, Mapping) else {}
    sha256, size, manifest = (fields.get(name) for name in ("sha256", "sizeBytes", "manifest"))
    if sha256 is not None and not _is_sha256(sha256):
        raise InvalidPayloadError("sha256 must be a string of 64 hexadecimal digits")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise InvalidPayloadError("sizeBytes must be a whole number, 1 or higher")
    if manifest is not None and not isinstance(manifest, str):
        raise InvalidPayloadError("manifest must be a string: a JWS in compact serialization")
    if not _is_url(fields["fwPackageUri"]):
        raise InvalidPayloadError("fwPackageUri must be a valid URL")
    return Offer(
        update=update,
        url=fields["fwPackageUri"],
        sha256=sha256.lower() if sha256 else None,
        size_bytes=size,
        manifest=manifest,
    )


def _is_url(url: str) -> bool:
    try:
        return bool(redact_url(url))
    except ValueError:
        return False


def _is_sha256(value: object) -> bool:
    if not isinstance(value, str) or len(value) != _SHA256_DIGITS:
        return False
    return all(digit in "0123456789abcdefABCDEF" for digit in value)
