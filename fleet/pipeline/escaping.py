"""Write texts from outside so that a build shows them and obeys none of them."""

import re

from fleet.plain_text import one_line

MAX_SHOWN = 300
_CUT = "…"
# What is more than text in Markdown or HTML, also in a code span or in a cell of a table.
_SPECIAL = re.compile(r"[^A-Za-z0-9 ,;.…%/=+'()-]")


def log_line(text: str) -> str:
    """Return one line for the log of a build, which is no command of it.

    GitHub obeys lines that begin with `::`, also after spaces, and `##[` anywhere. Azure Pipelines
    obeys `##vso[` and `##[`.
    """
    apart = re.sub("#(?=#)", "# ", one_line(text))
    return f": {apart[1:]}" if apart.startswith("::") else apart


def code(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a text for Markdown, in a code span: no links, no mentions, no HTML, no images."""
    plain = one_line(text)
    cut = plain if len(plain) <= limit else plain[: limit - 1] + _CUT
    return f"<code>{_SPECIAL.sub(_entity, cut)}</code>" if cut else ""


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
