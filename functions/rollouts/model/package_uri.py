"""Remove secrets of a package's URI from texts that people and logs may see.

Any query may be a secret: a shared access signature, a presigned signature, a token. The whole URI
is stored and sent to devices. A device may repeat the URI, or parts of it, in its response.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit, urlunsplit

HIDDEN = "***"
# A shorter value, as in `sv=1`, is not a secret, and occurs in many texts.
_MIN_SECRET_CHARACTERS = 6
# No useful response of a device is nested deeper.
_MAX_DEPTH = 20
# Characters kept of a rollout's earlier links.
MAX_EARLIER_CHARACTERS = 8_192
# A signature or token in the query of any link, also of one without its scheme.
_SIGNED = re.compile(
    r"(?i)\b((?:sig|[a-z0-9-]*signature|[a-z0-9_-]*token|sas|secret|password)=)[^\s&;\"'<>]+"
)
# A signature without its name: an HMAC-SHA256 in Base64, as of a shared access signature that the
# backend made and did not store.
_BARE_SIGNATURE = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]|%2[BbFf]){43}(?:=|%3[Dd])(?![A-Za-z0-9+/=])"
)
# At most until the year 2286.
_SECONDS = re.compile(r"[0-9]{1,10}")
_IN_TEXT = re.compile(r"(?i)(https?://)(?:[^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?")


def redact(uri: str) -> str:
    """Return a URI without user, password and fragment, and with `***` as its query."""
    scheme, host, path, query, _ = urlsplit(uri)
    return urlunsplit((scheme, host.rpartition("@")[2], path, HIDDEN if query else "", ""))


def is_redacted(uri: str) -> bool:
    """Return whether `uri` is a result of `redact`, which lost the query."""
    return urlsplit(uri).query == HIDDEN


@lru_cache(maxsize=256)
def expires_at(uri: str) -> datetime | None:
    """Return when a signed link expires, or None if the link does not say so.

    Knows shared access signatures of Azure Storage (`se`), presigned links of S3 and Google Cloud
    Storage (`X-Amz-Date` or `X-Goog-Date`, with `-Expires` in seconds), and `Expires` as a Unix
    time, as of CloudFront. A link without a signature has no expiry, whatever its query says.
    """
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(uri).query)}
    if "sig" in query and "se" in query:
        return _read_time(query["se"])
    for prefix in ("x-amz-", "x-goog-"):
        begins = _read_time(query.get(f"{prefix}date", ""))
        seconds = query.get(f"{prefix}expires", "")
        if begins is not None and f"{prefix}signature" in query and _SECONDS.fullmatch(seconds):
            return begins + timedelta(seconds=int(seconds))
    seconds = query.get("expires", "")
    if "signature" in query and _SECONDS.fullmatch(seconds):
        return datetime.fromtimestamp(int(seconds), UTC)
    return None


def _read_time(text: str) -> datetime | None:
    """Read a time in ISO 8601; without an offset it is in UTC, as Azure Storage reads it."""
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def hide_secrets(text: str, *uris: str) -> str:
    """Return a device's text without the secrets of `uris`, and of any link in the text."""
    for secret in _secrets(uris):
        text = text.replace(secret, HIDDEN)
    if "=" in text or "%3" in text:
        text = _BARE_SIGNATURE.sub(HIDDEN, text)
        text = _SIGNED.sub(rf"\1{HIDDEN}", text)
    return _IN_TEXT.sub(_redact_match, text) if "://" in text else text


def add_earlier(earlier: tuple[str, ...], uri: str) -> tuple[str, ...]:
    """Add a link that a fresh one replaces.

    Beyond MAX_EARLIER_CHARACTERS, the oldest links are left out: their signatures have expired.
    """
    kept = (uri, *reversed(earlier))
    ends = accumulate(map(len, kept))
    fitting = sum(end <= MAX_EARLIER_CHARACTERS for end in ends)
    return tuple(reversed(kept[:fitting]))


def hide_secrets_in(value: Any, *uris: str, depth: int = 0) -> Any:
    """Return a JSON value without secrets in any text. A part nested too deeply is cut."""
    if isinstance(value, str):
        return hide_secrets(value, *uris)
    if depth > _MAX_DEPTH and isinstance(value, list | Mapping):
        return HIDDEN
    if isinstance(value, list):
        return [hide_secrets_in(item, *uris, depth=depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {
            hide_secrets(k, *uris): hide_secrets_in(item, *uris, depth=depth + 1)
            for k, item in value.items()
        }
    return value


def _redact_match(found: re.Match[str]) -> str:
    scheme, path, rest = found.groups()
    return f"{scheme}{path}{f'?{HIDDEN}' if rest else ''}"


@lru_cache(maxsize=64)
def _secrets(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Return the secret parts of URIs, longest first, so that no replacement splits a secret."""
    forms = (str, unquote, unquote_plus)
    written = [form(part) for uri in uris for part in _parts(uri) for form in forms]
    parts = {part for part in written if len(part) >= _MIN_SECRET_CHARACTERS}
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


def _parts(uri: str) -> Iterator[str]:
    _, host, _, query, fragment = urlsplit(uri)
    user = host.rpartition("@")[0]
    yield from (user, user.partition(":")[2], query, fragment)
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        yield value or name
