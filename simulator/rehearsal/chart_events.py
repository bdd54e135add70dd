"""Draw the events of a rehearsal: a line with a number at each time, and a list below the chart."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from functions.rollouts.model.audit_trail import Event
from simulator.rehearsal.chart_layout import (
    BOTTOM,
    FAINT,
    INK,
    LEFT,
    LINE_HEIGHT,
    LIST_TOP,
    PAPER,
    RIGHT,
    TOP,
    Axes,
    wrap,
)
from simulator.rehearsal.moments import QuotaWait
from simulator.rehearsal.outages import OutagePeriod
from simulator.rehearsal.scale import duration
from simulator.rehearsal.svg import add, add_line, add_text
from simulator.rehearsal.timeline import Timeline

_FAILURES = frozenset({"paused", "failed", "cancelled", "rolledBack", "rollbackImpossible"})
_OMITTED = frozenset({"created", "waveCompleted", "ended"})
_MAX_LISTED = 12
_LISTED_LAST = 5
_MAX_MESSAGE_LINES = 3
_TIME_X, _MESSAGE_X = LEFT + 98, LEFT + 110
_RADIUS, _ROWS = 9.0, 2
_QUOTA, _LABEL_WIDTH = "#cc79a7", 70.0


class EventMark(NamedTuple):
    """An event on the chart."""

    seconds: float
    event: Event
    number: int | None
    """Its number in the list, or None if the list omits it."""


def select_marks(timeline: Timeline) -> list[EventMark]:
    """Return the events to mark. If there are many, only the first and the last have numbers."""
    events = [event for event in timeline.events if event.action not in _OMITTED]
    hidden = max(0, len(events) - _MAX_LISTED)
    first = _MAX_LISTED - _LISTED_LAST if hidden else len(events)
    numbers = [*range(1, first + 1), *[None] * hidden, *range(first + 1, _MAX_LISTED + 1)]
    return [
        EventMark(timeline.seconds_of(event), event, number)
        for event, number in zip(events, numbers, strict=False)
    ]


def draw_marks(svg: ET.Element, marks: Sequence[EventMark], axes: Axes) -> None:
    """Draw a line at each event. Numbers that would overlap move to the row above or aside."""
    row_ends = [0.0] * _ROWS
    for mark in marks:
        x, colour = axes.x(mark.seconds), _colour(mark.event)
        opacity = 1 if mark.number is not None else 0.3
        style = {"stroke": colour, "stroke_dasharray": "3 3", "stroke_opacity": opacity}
        add_line(svg, (x, TOP), (x, BOTTOM), **style)
        if mark.number is None:
            continue
        free = (row for row, end in enumerate(row_ends) if end <= x - _RADIUS)
        row = next(free, None)
        if row is None:
            row = min(range(_ROWS), key=row_ends.__getitem__)
            x = row_ends[row] + _RADIUS
        row_ends[row] = x + _RADIUS + 1
        _draw_number(svg, x, TOP - 12 - row * (2 * _RADIUS + 1), mark.number, colour)


def draw_outages(svg: ET.Element, outages: Sequence[OutagePeriod], axes: Axes) -> None:
    """Shade the time of each outage, with its devices at the top."""
    for outage in outages:
        begins, ends = axes.x(outage.begins), axes.x(outage.ends)
        if begins >= RIGHT:
            continue
        box = {"x": begins, "y": TOP, "width": max(1.0, ends - begins), "height": BOTTOM - TOP}
        area = add(svg, "rect", **box, fill=INK, fill_opacity="0.18", class_="outage")
        add(area, "title", f"outage: {outage.where}, {outage.devices:,} of them")
        add_text(svg, (begins + ends) / 2, TOP + 14, "outage", fill=INK, text_anchor="middle")


def draw_quota_waits(svg: ET.Element, waits: Sequence[QuotaWait], axes: Axes) -> None:
    """Shade the time of each wait for the hub's daily quota."""
    for wait in waits:
        begins, ends = axes.x(wait.begins), min(axes.x(wait.ends), RIGHT)
        box = {"x": begins, "y": TOP, "width": max(1.0, ends - begins), "height": BOTTOM - TOP}
        area = add(svg, "rect", **box, fill=_QUOTA, fill_opacity="0.25", class_="quota")
        add(area, "title", f"daily quota used up for {duration(wait.ends - wait.begins)}")
        if ends - begins >= _LABEL_WIDTH:
            middle = (begins + ends) / 2
            add_text(svg, middle, TOP + 28, "daily quota", fill=INK, text_anchor="middle")


def draw_list(svg: ET.Element, marks: Sequence[EventMark]) -> float:
    """List the numbered events below the chart. Return the y at which the list ends."""
    listed = [mark for mark in marks if mark.number is not None]
    y = LIST_TOP
    for index, mark in enumerate(listed):
        if index == _MAX_LISTED - _LISTED_LAST and len(marks) > len(listed):
            add_text(svg, _MESSAGE_X, y, f"… {len(marks) - len(listed)} more", fill=FAINT)
            y += LINE_HEIGHT
        _draw_number(svg, LEFT, y - 4.5, mark.number or 0, _colour(mark.event))
        add_text(svg, _TIME_X, y, duration(mark.seconds), fill=FAINT, text_anchor="end")
        for line in wrap(mark.event.message, _MAX_MESSAGE_LINES):
            add_text(svg, _MESSAGE_X, y, line, fill=INK)
            y += LINE_HEIGHT - 4
        y += 4
    return y


def _draw_number(svg: ET.Element, x: float, y: float, number: int, colour: str) -> None:
    add(svg, "circle", cx=x, cy=y, r=_RADIUS, fill=colour)
    style = "font-size: 11px; font-weight: 600"
    add_text(svg, x, y + 4, str(number), fill=PAPER, text_anchor="middle", style=style)


def _colour(event: Event) -> str:
    if event.action in _FAILURES:
        return "#b3261e"
    return "#00694d" if event.action == "completed" else "#424a53"
