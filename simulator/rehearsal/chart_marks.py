"""The events of a rehearsal on its chart: a line and a number at each, and a list of them below."""

from collections.abc import Sequence
from typing import NamedTuple

from functions.rollouts.model.rollout import Event
from simulator.rehearsal.chart_layout import (
    BOTTOM,
    FAINT,
    INK,
    LEFT,
    LINE,
    LIST_TOP,
    PAPER,
    TOP,
    Plane,
    wrapped,
)
from simulator.rehearsal.scale import duration
from simulator.rehearsal.svg import element, line, text
from simulator.rehearsal.timeline import Timeline

_BAD = frozenset({"paused", "failed", "cancelled", "rolledBack", "rollbackImpossible"})
_UNMARKED = frozenset({"created", "waveCompleted", "ended"})
_LISTED_AT_MOST = 12
_LISTED_LAST = 5
_LINES_AT_MOST = 3
_TIME_X, _TEXT_X = LEFT + 98, LEFT + 110
_RADIUS, _ROWS = 9.0, 2


class BlockSummary(NamedTuple):
    """An event, and the number under which it is listed below the chart, if it is."""

    seconds: float
    event: Event
    number: int | None


def marks(timeline: Timeline) -> list[BlockSummary]:
    """The events worth a mark. Of many, the first and the last are listed."""
    events = [event for event in timeline.events if event.action not in _UNMARKED]
    left_out = max(0, len(events) - _LISTED_AT_MOST)
    first = _LISTED_AT_MOST - _LISTED_LAST if left_out else len(events)
    marks = []
    for place, event in enumerate(events):
        number = place + 1 if place < first else place + 1 - left_out
        hidden = first <= place < first + left_out
        marks.append(BlockSummary(timeline.seconds_of(event), event, None if hidden else number))
    return marks


def lines_at(marks: Sequence[BlockSummary], plane: Plane) -> list[str]:
    """A line for each event; numbers that would lie upon each other go to rows above, or aside."""
    parts: list[str] = []
    row_ends = [0.0] * _ROWS
    for mark in marks:
        x, colour = plane.x(mark.seconds), _colour(mark.event)
        opacity = 1 if mark.number is not None else 0.3
        more = {"stroke_dasharray": "3 3", "stroke_opacity": opacity}
        parts.append(line(x, TOP, x, BOTTOM, colour, **more))
        if mark.number is None:
            continue
        left = x - _RADIUS
        row = next((row for row, end in enumerate(row_ends) if end <= left), None)
        if row is None:
            row = min(range(_ROWS), key=row_ends.__getitem__)
            x = row_ends[row] + _RADIUS
        row_ends[row] = x + _RADIUS + 1
        parts += _numbered(x, TOP - 12 - row * (2 * _RADIUS + 1), mark.number, colour)
    return parts


def listing(listed: Sequence[BlockSummary], events: int) -> tuple[list[str], float]:
    """The list, and where on the paper it ends."""
    parts: list[str] = []
    y = LIST_TOP
    for place, mark in enumerate(listed):
        if place == _LISTED_AT_MOST - _LISTED_LAST and events > len(listed):
            more = f"… {events - len(listed)} more"
            parts.append(text(_TEXT_X, y, more, fill=FAINT))
            y += LINE
        parts += _numbered(LEFT, y - 4.5, mark.number or 0, _colour(mark.event))
        parts.append(text(_TIME_X, y, duration(mark.seconds), fill=FAINT, text_anchor="end"))
        for words in wrapped(mark.event.message, _LINES_AT_MOST):
            parts.append(text(_TEXT_X, y, words, fill=INK))
            y += LINE - 4
        y += 4
    return parts, y


def _numbered(x: float, y: float, number: int, colour: str) -> list[str]:
    small = {"text_anchor": "middle", "style": "font-size: 11px; font-weight: 600"}
    return [
        element("circle", cx=x, cy=y, r=_RADIUS, fill=colour),
        text(x, y + 4, str(number), fill=PAPER, **small),
    ]


def _colour(event: Event) -> str:
    if event.action in _BAD:
        return "#b3261e"
    return "#00694d" if event.action == "completed" else "#424a53"
