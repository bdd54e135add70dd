"""Positions on the chart, in pixels, and its colours."""

import textwrap
from dataclasses import dataclass

WIDTH = 1000
LEFT, RIGHT, TOP, HEIGHT = 84.0, 790.0, 130.0, 340.0
BOTTOM = TOP + HEIGHT
LEGEND_X = RIGHT + 26
LINE_HEIGHT = 22
LIST_TOP = BOTTOM + 72
INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
# Characters that fit beside a time in the widest of the fonts.
_LINE_CHARACTERS = 112


@dataclass(frozen=True, slots=True)
class Axes:
    """Converts seconds and device counts to pixels."""

    seconds: float
    """Length of the time axis."""
    devices: int
    """Length of the count axis."""

    def x(self, seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(1.0, seconds / self.seconds)

    def y(self, devices: float) -> float:
        return BOTTOM - HEIGHT * devices / self.devices


def wrap(message: str, max_lines: int) -> list[str]:
    """Return at least one line. The last line ends in "…" if the message is longer."""
    return textwrap.wrap(message, _LINE_CHARACTERS, max_lines=max_lines, placeholder=" …") or [""]
