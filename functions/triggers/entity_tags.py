"""Entity tags of rollouts and firmware (RFC 9110, section 8.8.3): the revision in quotes."""

import re
from collections.abc import Collection, Mapping

from azure.functions import HttpRequest

from functions.errors import InvalidError
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.rollout import Rollout
from functions.triggers.parameters import TextParameter

IF_MATCH = TextParameter(
    "If-Match",
    "The ETag of the response that was read; 412 if another revision is stored by now.",
    "header",
    max_length=255,
)
_TAG = r'(W/)?"([\x21\x23-\x7e]*)"'
# A revision has fewer digits; int() is slow for very many.
_MAX_DIGITS = 15
_TAGS = re.compile(rf"\s*{_TAG}\s*(,\s*{_TAG}\s*)*")


def etag_header(shown: Rollout | CatalogueEntry) -> Mapping[str, str]:
    """Return the ETag header of a response that shows a rollout or a firmware."""
    return {"ETag": f'"{shown.revision}"'}


def read_revisions(request: HttpRequest) -> Collection[int] | None:
    """Return the revisions that If-Match names; None if any will do. Raises InvalidError.

    A weak tag names none: If-Match compares strongly.
    """
    text = IF_MATCH.read(request)
    if text is None or text.strip() == "*":
        return None
    if not _TAGS.fullmatch(text):
        raise InvalidError(
            f'If-Match must be an ETag such as "214", in double quotes, not {text[:40]!r}.'
        )
    found = [tag for weak, tag in re.findall(_TAG, text) if not weak]
    return {
        int(tag) for tag in found if tag.isascii() and tag.isdecimal() and len(tag) <= _MAX_DIGITS
    }
