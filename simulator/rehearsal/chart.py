"""A rehearsal as a picture: how many devices were where, over virtual time, as stacked areas.

Devices that completed grow from below, those that failed hang from above, so that both are easy
to read; what moves lies between. Colours are those of Okabe and Ito, which people with any kind
of colour vision can tell apart, and the legend names the areas in the order in which they lie.
"""

from collections.abc import Sequence

from functions.rollouts.model.rollout import Rollout
from simulator.rehearsal import chart_marks
from simulator.rehearsal.chart_layout import (
    BOTTOM,
    FAINT,
    GRID,
    HEIGHT,
    INK,
    LEFT,
    LEGEND_X,
    LINE,
    PAPER,
    RIGHT,
    TOP,
    WIDTH,
    Plane,
    wrapped,
)
from simulator.rehearsal.scale import count_ticks, duration, time_ticks
from simulator.rehearsal.svg import Point, clean, element, line, points, text
from simulator.rehearsal.timeline import Sample, Timeline

_COUNT_TICKS, _TIME_TICKS = 6, 9
_STYLE = "text { font-family: 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; font-size: 13px; }"

STATES: dict[str, str] = {
    "completed": "#009e73",
    "soaking": "#56b4e9",
    "updating": "#0072b2",
    "queued": "#e6e8eb",
    "skipped": "#f0e442",
    "cancelled": "#8c959f",
    "failed": "#d55e00",
}
"""The colour of each state, from the lowest area to the highest."""


def chart(rollout: Rollout, timeline: Timeline) -> str:
    """The rehearsal of `rollout` as an SVG document."""
    samples = _at_least_two(timeline.samples, rollout)
    plane = Plane(samples[-1].seconds, max(1, samples[-1].counts.total))
    marks = chart_marks.marks(timeline)
    listed = [mark for mark in marks if mark.number is not None]
    listing, end = chart_marks.listing(listed, len(marks))
    height = end + 4
    parts = [
        element("style", _STYLE),
        element("rect", width=WIDTH, height=height, fill=PAPER),
        *_heading(rollout, timeline.seconds),
        *_areas(samples, plane),
        *_axes(plane),
        *_legend(samples),
        *chart_marks.lines_at(marks, plane),
        *listing,
    ]
    body = "\n".join([*_described(rollout, samples[-1]), *parts])
    return element(
        "svg",
        f"\n{body}\n",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        width=WIDTH,
        height=height,
        role="img",
        aria_labelledby="title description",
    )


def title(rollout: Rollout) -> str:
    """What was rehearsed and how it ended, in one line."""
    return f"Rollout of {rollout.firmware.version}: {rollout.status.value}"


def _at_least_two(samples: Sequence[Sample], rollout: Rollout) -> Sequence[Sample]:
    """A line needs two ends that are apart: a single moment is drawn as a second."""
    known = samples or (Sample(0.0, rollout.counts),)
    if known[-1].seconds > 0:
        return known if known[0].seconds == 0 else (Sample(0.0, known[0].counts), *known)
    return (known[-1], Sample(1.0, known[-1].counts))


def _described(rollout: Rollout, last: Sample) -> list[str]:
    ended = ", ".join(f"{getattr(last.counts, name):,} {name}" for name in STATES)
    said = f"Stacked areas over virtual time. After {duration(last.seconds)}: {ended}."
    return [
        element("title", clean(title(rollout)), id="title"),
        element("desc", clean(said), id="description"),
    ]


def _heading(rollout: Rollout, seconds: float) -> list[str]:
    reason = rollout.status_reason.message if rollout.status_reason else ""
    what = f"{rollout.total:,} pretended devices, {duration(seconds)} of virtual time"
    return [
        text(LEFT, 34, title(rollout), fill=INK, style="font-size: 20px; font-weight: 600"),
        text(LEFT, 56, wrapped(reason, 1)[0], fill=INK),
        text(LEFT, 75, f"Rehearsal: {what}", fill=FAINT),
    ]


def _areas(samples: Sequence[Sample], plane: Plane) -> list[str]:
    floor: list[Point] = [(plane.x(sample.seconds), BOTTOM) for sample in samples]
    below = [0] * len(samples)
    areas = []
    for name, colour in STATES.items():
        below = [
            under + getattr(sample.counts, name)
            for under, sample in zip(below, samples, strict=True)
        ]
        ceiling = [(x, plane.y(devices)) for (x, _), devices in zip(floor, below, strict=True)]
        if ceiling != floor:
            path = points([*ceiling, *reversed(floor)])
            areas.append(element("polygon", points=path, fill=colour, class_=name))
        floor = ceiling
    return areas


def _axes(plane: Plane) -> list[str]:
    parts = []
    for devices in count_ticks(plane.devices, _COUNT_TICKS):
        y = plane.y(devices)
        parts.append(line(LEFT, y, RIGHT, y, GRID, stroke_opacity=0.6))
        parts.append(text(LEFT - 10, y + 4, f"{devices:,}", fill=FAINT, text_anchor="end"))
    for seconds in time_ticks(plane.seconds, _TIME_TICKS):
        x = plane.x(seconds)
        parts.append(line(x, BOTTOM, x, BOTTOM + 6, FAINT))
        label = duration(seconds) if seconds else "0"
        parts.append(text(x, BOTTOM + 22, label, fill=FAINT, text_anchor="middle"))
    parts.append(line(LEFT, BOTTOM, RIGHT, BOTTOM, FAINT))
    middle = (LEFT + RIGHT) / 2
    parts.append(text(middle, BOTTOM + 42, "virtual time", fill=FAINT, text_anchor="middle"))
    turned = f"rotate(-90 18 {TOP + HEIGHT / 2})"
    sideways = {"text_anchor": "middle", "transform": turned}
    parts.append(text(18, TOP + HEIGHT / 2, "devices", fill=FAINT, **sideways))
    return parts


def _legend(samples: Sequence[Sample]) -> list[str]:
    """The states that there were, from the highest area down, with how many there are now."""
    last = samples[-1].counts
    parts = [text(LEGEND_X, TOP + 4, "at the end", fill=FAINT)]
    y = TOP + 4
    for name, colour in reversed(STATES.items()):
        if any(getattr(sample.counts, name) for sample in samples):
            y += LINE
            box = {"width": 13, "height": 13, "fill": colour, "stroke": FAINT}
            parts.append(element("rect", x=LEGEND_X, y=y - 11, stroke_width=0.5, **box))
            parts.append(text(LEGEND_X + 20, y, name, fill=INK))
            number = f"{getattr(last, name):,}"
            parts.append(text(WIDTH - 20, y, number, fill=INK, text_anchor="end"))
    return parts
