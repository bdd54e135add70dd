"""The few SVG elements that the chart is made of, as text."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

# What XML 1.0 does not allow, escaped or not.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

type Point = tuple[float, float]


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """One element; `_` in the name of an attribute stands for `-`."""
    written = "".join(
        f" {key.strip('_').replace('_', '-')}={quoteattr(_attribute(value))}"
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(x: float, y: float, content: str, /, **attributes: object) -> str:
    return element("text", clean(content), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **more: object) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)


def clean(content: str) -> str:
    """Text that may stand in an element."""
    return escape(_UNWRITABLE.sub(" ", content))


def points(path: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in path)


def _attribute(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return _UNWRITABLE.sub(" ", str(value))
