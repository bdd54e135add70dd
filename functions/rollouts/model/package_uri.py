"""A package's URI without what may be a secret in it, for all that people and logs get to see.

Any query may be one: a shared access signature, a presigned signature, a token. The whole URI is
stored, and is sent to devices; a device may well repeat it, or parts of it, in what it answers.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

HIDDEN = "***"
# A shorter value, like that of `sv=1`, is no secret, and would be found in any text.
_SECRET_AT_LEAST = 6
_DEEPEST = 20  # a device's answer that is nested deeper tells nobody anything
_IN_TEXT = re.compile(r"(?i)(https?://)(?:[^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?")


def shown(uri: str) -> str:
    """Without user, password and fragment; `***` stands for its query."""
    scheme, host, path, query, _ = urlsplit(uri)
    return urlunsplit((scheme, host.rpartition("@")[2], path, HIDDEN if query else "", ""))


def is_shown_form(uri: str) -> bool:
    """Whether it is what `shown` makes of a URI, and so cannot be downloaded from."""
    return urlsplit(uri).query == HIDDEN


def hidden(text: str, uri: str) -> str:
    """A text of a device's without the secrets of `uri`, and of any other URI in it."""
    for secret in _secrets(uri):
        text = text.replace(secret, HIDDEN)
    return _IN_TEXT.sub(_shown_in_text, text) if "://" in text else text


def hidden_in(value: Any, uri: str, depth: int = 0) -> Any:
    """The same for every text in a JSON value, as far as it is not nested too deeply."""
    if isinstance(value, str):
        return hidden(value, uri)
    if depth > _DEEPEST and isinstance(value, list | Mapping):
        return HIDDEN
    if isinstance(value, list):
        return [hidden_in(item, uri, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {hidden(k, uri): hidden_in(item, uri, depth + 1) for k, item in value.items()}
    return value


def _shown_in_text(found: re.Match[str]) -> str:
    scheme, place, rest = found.groups()
    return f"{scheme}{place}{f'?{HIDDEN}' if rest else ''}"


@lru_cache(maxsize=64)
def _secrets(uri: str) -> tuple[str, ...]:
    """Parts of the URI that must not be seen, the longest first: none hides in another's rest."""
    written = [form(part) for part in _parts(uri) for form in (str, unquote, unquote_plus)]
    parts = {part for part in written if len(part) >= _SECRET_AT_LEAST}
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


def _parts(uri: str) -> Iterator[str]:
    _, host, _, query, fragment = urlsplit(uri)
    user = host.rpartition("@")[0]
    yield from (user, user.partition(":")[2], query, fragment)
    for pair in re.split("[&;]", query):
        name, _, value = pair.partition("=")
        yield value or name
