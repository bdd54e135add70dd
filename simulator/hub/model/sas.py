"""Shared access signature (SAS) tokens: parsing and checking the signature.

Source: Microsoft Learn, "Control access to IoT Hub with shared access signatures", and what the
SDKs send: the fields in any order, `sr` encoded or not. The signature is over the text of `sr`
exactly as received.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

PREFIX = "SharedAccessSignature "
_MAX_EXPIRY_DIGITS = 15
# A service sends the same token with every request; a check takes a sixth of a twin read's time.
# The number is small because a token may be as long as an MQTT password, 64 KB.
_CACHED_TOKENS = 128


class SasError(ValueError):
    """The text is not a SAS token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SasToken:
    """A parsed token; its signature is not checked."""

    resource: str
    """Decoded."""
    signed_resource: str
    """As received."""
    signature: str
    expiry: int
    """Unix time in seconds."""
    policy: str | None
    """None for a token signed with a device's key."""

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the resource as host and path segments."""
        return tuple(self.resource.rstrip("/").split("/"))


@lru_cache(_CACHED_TOKENS)
def parse(text: str) -> SasToken:
    """Parse a token. Raises SasError; its message never contains the token."""
    if not text.startswith(PREFIX):
        raise SasError(f"the token must begin with {PREFIX!r}")
    fields: dict[str, str] = {}
    for part in text[len(PREFIX) :].split("&"):
        name, separator, value = part.partition("=")
        if not separator or name in fields:
            raise SasError("a field has no value or is repeated")
        fields[name] = value
    if not {"sr", "sig", "se"} <= fields.keys() <= {"sr", "sig", "se", "skn"}:
        raise SasError("the fields must be sr, sig, se and optionally skn")
    expiry = fields["se"]
    if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= _MAX_EXPIRY_DIGITS):
        raise SasError("se is not a Unix time")
    return SasToken(
        resource=unquote(fields["sr"]),
        signed_resource=fields["sr"],
        signature=unquote(fields["sig"]),
        expiry=int(expiry),
        policy=unquote(fields["skn"]) if fields.get("skn") else None,
    )


def is_signed_by(token: SasToken, key: str) -> bool:
    """Return whether `key` (base64) made the signature. The comparison takes constant time."""
    expected = signature(token.signed_resource, token.expiry, key)
    return hmac.compare_digest(expected.encode(), token.signature.encode("utf-8", "replace"))


@lru_cache(_CACHED_TOKENS)
def signature(signed_resource: str, expiry: int, key: str) -> str:
    """Return the base64 HMAC-SHA256 over the resource, a newline and the expiry."""
    try:
        secret = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise SasError("the key is not base64") from error
    message = f"{signed_resource}\n{expiry}".encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(secret, message, hashlib.sha256)).decode()
