"""What a device is read_offer: which package, from where, and what is known of it beforehand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from device_agent.update import InvalidPayloadError, Update

_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A firmware image; all of it is known once the package is downloaded."""

    version: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One update as it was asked for; the address may carry a secret, so it is never shown."""

    update: Update
    url: str = field(repr=False)
    sha256: str | None = None
    size_bytes: int | None = None
    manifest: str | None = field(default=None, repr=False)
    sequence: int | None = None
    """Of the manifest, once it is verified."""

    @property
    def source(self) -> str:
        """Names the package, to know a half downloaded one by; holds no secret.

        Without a hash it is only as good as the address: the server's entity tag must decide.
        """
        return self.sha256 or hashlib.sha256(redact_url(self.url).encode()).hexdigest()


def redact_url(url: str) -> str:
    """`url` without what may be secret: user, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_offer(payload: object, update: Update) -> Offer:
    """Read what the method's payload says of the package. Raises InvalidPayloadError."""
    fields: Mapping[str, Any] = payload if isinstance(payload, Mapping) else {}
    sha256, size, manifest = (fields.get(name) for name in ("sha256", "sizeBytes", "manifest"))
    if sha256 is not None and not _is_sha256(sha256):
        raise InvalidPayloadError("sha256 must be 64 hexadecimal digits")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise InvalidPayloadError("sizeBytes must be a whole number, 1 or higher")
    if manifest is not None and not isinstance(manifest, str):
        raise InvalidPayloadError("manifest must be a text: a JWS in compact form")
    if not _is_split(fields["fwPackageUri"]):
        raise InvalidPayloadError("fwPackageUri must be an address")
    return Offer(
        update=update,
        url=fields["fwPackageUri"],
        sha256=sha256.lower() if sha256 else None,
        size_bytes=size,
        manifest=manifest,
    )


def _is_split(url: str) -> bool:
    try:
        return bool(redact_url(url))
    except ValueError:
        return False


def _is_sha256(value: object) -> bool:
    if not isinstance(value, str) or len(value) != _SHA256_DIGITS:
        return False
    return all(digit in "0123456789abcdefABCDEF" for digit in value)
