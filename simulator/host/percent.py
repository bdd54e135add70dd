"""Decode percent escapes as Kestrel does, the web server of the real host."""

import codecs
import re

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ESCAPES_BUT_SLASH = re.compile(r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+")


def decode_path(path: str) -> str:
    """Decode the path of a request target once.

    `%2F` stays escaped, so that an encoded slash never splits a segment (ASP.NET Core,
    `HttpRequest.Path`). Bytes that are not UTF-8 stay escaped. Raises ValueError for a NUL.
    """
    if "%" not in path:
        return path
    decoded = _ESCAPES_BUT_SLASH.sub(_decode_match, path)
    if "\0" in decoded:
        raise ValueError("a path may not contain a NUL character")
    return decoded


def decode_query_part(text: str) -> str:
    """Decode a query string's key or value once: `+` is a space, broken UTF-8 stays escaped."""
    if "%" not in text and "+" not in text:
        return text
    return _ESCAPES.sub(_decode_match, text.replace("+", " "))


def _decode_match(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "percent-escaped")


def _keep_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    broken = error.object[error.start : error.end]
    return "".join(f"%{byte:02X}" for byte in broken), error.end


codecs.register_error("percent-escaped", _keep_escapes)
