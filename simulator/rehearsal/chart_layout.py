"""Where things lie on the chart's paper, in pixels, and in which inks they are drawn."""

import textwrap
from dataclasses import dataclass

WIDTH = 1000
LEFT, RIGHT, TOP, HEIGHT = 84.0, 790.0, 130.0, 340.0
BOTTOM = TOP + HEIGHT
LEGEND_X = RIGHT + 26
LINE = 22
LIST_TOP = BOTTOM + 72
INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
# Characters that fit beside a time, in the widest of the fonts.
_CHARACTERS = 112


@dataclass(frozen=True, slots=True)
class Plane:
    """Where seconds and devices lie: all of them together fill it."""

    seconds: float
    devices: int

    def x(self, seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(1.0, seconds / self.seconds)

    def y(self, devices: float) -> float:
        return BOTTOM - HEIGHT * devices / self.devices


def wrapped(message: str, lines: int) -> list[str]:
    """At least one line of text, and not more than asked: the last one is cut."""
    return textwrap.wrap(message, _CHARACTERS, max_lines=lines, placeholder=" …") or [""]
