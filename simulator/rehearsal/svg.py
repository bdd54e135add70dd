"""Build SVG with the standard library's ElementTree."""

import re
from xml.etree import ElementTree as ET

# Characters that XML 1.0 forbids, escaped or not.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def add(parent: ET.Element, name: str, content: str = "", /, **attributes: object) -> ET.Element:
    """Append an element and return it; `_` in an attribute's name stands for `-`."""
    element = ET.SubElement(parent, name)
    element.text = _clean(content) or None
    for key, value in attributes.items():
        element.set(key.strip("_").replace("_", "-"), _format(value))
    return element


def add_text(parent: ET.Element, x: float, y: float, content: str, /, **attributes: object) -> None:
    add(parent, "text", content, x=x, y=y, **attributes)


def add_line(
    parent: ET.Element, start: tuple[float, float], end: tuple[float, float], **attributes: object
) -> None:
    (x1, y1), (x2, y2) = start, end
    add(parent, "line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def render(root: ET.Element) -> str:
    """Return the document, one element on each line."""
    ET.indent(root, "")
    return ET.tostring(root, encoding="unicode")


def _clean(content: str) -> str:
    return _FORBIDDEN.sub(" ", content)


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return _clean(str(value))
