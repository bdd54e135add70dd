"""Query parameters, and the links that carry them on to the next page."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from azure.functions import HttpRequest

from functions.errors import InvalidError
from functions.rollout_store.ports.records import CursorError
from functions.triggers.address import without_query

PAGE_DEFAULT = 50
PAGE_AT_MOST = 100


def whole_number(request: HttpRequest, name: str, default: int, low: int, high: int) -> int:
    """A whole number in `low`..`high`. Raises InvalidError."""
    text = request.params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high:  # noqa: PLR2004 - no number in use has ten digits
        return int(text)
    raise InvalidError(f"The query parameter {name} must be a whole number from {low} to {high}.")


def limit(request: HttpRequest) -> int:
    return whole_number(request, "limit", PAGE_DEFAULT, 1, PAGE_AT_MOST)


def word[T: StrEnum](request: HttpRequest, name: str, words: type[T]) -> T | None:
    """One of the words of an enum, None when it is not given. Raises InvalidError."""
    text = request.params.get(name)
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        known = ", ".join(words)
        raise InvalidError(f"The query parameter {name} must be one of: {known}.") from None


def page[T](read: Callable[[int, str | None], T], request: HttpRequest) -> T:
    """Read the page that the request asks for. Raises InvalidError for a foreign cursor."""
    try:
        return read(limit(request), request.params.get("cursor"))
    except CursorError as error:
        raise InvalidError(f"The query parameter cursor is {error}.") from error


def page_body(
    request: HttpRequest, items: Sequence[Any], cursor: str | None, *filters: str
) -> dict[str, Any]:
    """`value`, and `nextLink` while there is more: the same request with the next cursor."""
    body: dict[str, Any] = {"value": items}
    if cursor is not None:
        kept = {name: request.params[name] for name in filters if name in request.params}
        query = urlencode({**kept, "limit": limit(request), "cursor": cursor})
        body["nextLink"] = f"{without_query(request)}?{query}"
    return body
