"""Draw a rehearsal as an SVG chart: the number of devices in each state over virtual time.

The areas are stacked: completed devices at the bottom, failed devices at the top, devices that
still change state between them. The colours are those of Okabe and Ito, which readers with any
kind of colour vision can tell apart; the legend lists the states in the order of the stack.

docs/decisions/0053-chart-without-a-library.md says why no charting library draws it.
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from functions.rollouts.model.rollout import Rollout
from simulator.rehearsal import chart_events
from simulator.rehearsal.chart_layout import (
    BOTTOM,
    FAINT,
    GRID,
    HEIGHT,
    INK,
    LEFT,
    LEGEND_X,
    LINE_HEIGHT,
    PAPER,
    RIGHT,
    TOP,
    WIDTH,
    Axes,
    wrap,
)
from simulator.rehearsal.moments import list_quota_waits, status_seconds
from simulator.rehearsal.outages import OutagePeriod
from simulator.rehearsal.scale import choose_count_ticks, choose_time_ticks, duration
from simulator.rehearsal.svg import add, add_line, add_text, render
from simulator.rehearsal.timeline import Sample, Timeline

_MAX_COUNT_TICKS, _MAX_TIME_TICKS = 6, 9
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


def draw_chart(rollout: Rollout, timeline: Timeline, outages: Sequence[OutagePeriod] = ()) -> str:
    """Return the rehearsal of `rollout` as an SVG document."""
    samples = _at_least_two(timeline.samples, rollout)
    axes = Axes(samples[-1].seconds, max(1, samples[-1].counts.total))
    marks = chart_events.select_marks(timeline)
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    svg.set("aria-labelledby", "title description")
    _describe(svg, rollout, samples[-1])
    add(svg, "style", _STYLE)
    paper = add(svg, "rect", width=WIDTH, fill=PAPER)
    _draw_heading(svg, rollout, timeline)
    _draw_areas(svg, samples, axes)
    chart_events.draw_outages(svg, outages, axes)
    chart_events.draw_quota_waits(svg, list_quota_waits(timeline), axes)
    _draw_axes(svg, axes)
    _draw_legend(svg, samples)
    chart_events.draw_marks(svg, marks, axes)
    height = f"{chart_events.draw_list(svg, marks) + 4:.0f}"
    paper.set("height", height)
    svg.set("width", str(WIDTH))
    svg.set("height", height)
    svg.set("viewBox", f"0 0 {WIDTH} {height}")
    return render(svg)


def _title(rollout: Rollout) -> str:
    return f"Rollout of {rollout.firmware.version}: {rollout.status.value}"


def _at_least_two(samples: Sequence[Sample], rollout: Rollout) -> Sequence[Sample]:
    """Return samples from 0 s to a later time, so that the areas have a width."""
    known = samples or (Sample(0.0, rollout.counts),)
    if known[-1].seconds > 0:
        return known if known[0].seconds == 0 else (Sample(0.0, known[0].counts), *known)
    return (known[-1], Sample(1.0, known[-1].counts))


def _describe(svg: ET.Element, rollout: Rollout, last: Sample) -> None:
    """Add the title and the description that screen readers read."""
    counts = ", ".join(f"{getattr(last.counts, name):,} {name}" for name in STATES)
    description = f"Stacked areas over virtual time. After {duration(last.seconds)}: {counts}."
    add(svg, "title", _title(rollout), id="title")
    add(svg, "desc", description, id="description")


def _draw_heading(svg: ET.Element, rollout: Rollout, timeline: Timeline) -> None:
    reason = rollout.status_reason.message if rollout.status_reason else ""
    decided = duration(status_seconds(rollout, timeline))
    setting = (
        f"{rollout.total:,} virtual devices, {duration(timeline.seconds)} of virtual time,"
        f" {rollout.status} after {decided}"
    )
    style = "font-size: 20px; font-weight: 600"
    add_text(svg, LEFT, 34, _title(rollout), fill=INK, style=style)
    add_text(svg, LEFT, 56, wrap(reason, 1)[0], fill=INK)
    add_text(svg, LEFT, 75, f"Rehearsal: {setting}", fill=FAINT)


def _draw_areas(svg: ET.Element, samples: Sequence[Sample], axes: Axes) -> None:
    """Draw each area as a polygon: its upper side forward, its lower side back."""
    xs = [axes.x(sample.seconds) for sample in samples]
    totals = [0] * len(samples)
    lower = [(x, BOTTOM) for x in xs]
    for name, colour in STATES.items():
        counts = [getattr(sample.counts, name) for sample in samples]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        upper = [(x, axes.y(total)) for x, total in zip(xs, totals, strict=True)]
        if any(counts):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*upper, *reversed(lower)))
            add(svg, "polygon", points=points, fill=colour, class_=name)
        lower = upper


def _draw_axes(svg: ET.Element, axes: Axes) -> None:
    for devices in choose_count_ticks(axes.devices, _MAX_COUNT_TICKS):
        y = axes.y(devices)
        add_line(svg, (LEFT, y), (RIGHT, y), stroke=GRID, stroke_opacity=0.6)
        add_text(svg, LEFT - 10, y + 4, f"{devices:,}", fill=FAINT, text_anchor="end")
    for seconds in choose_time_ticks(axes.seconds, _MAX_TIME_TICKS):
        x = axes.x(seconds)
        add_line(svg, (x, BOTTOM), (x, BOTTOM + 6), stroke=FAINT)
        label = duration(seconds) if seconds else "0"
        add_text(svg, x, BOTTOM + 22, label, fill=FAINT, text_anchor="middle")
    add_line(svg, (LEFT, BOTTOM), (RIGHT, BOTTOM), stroke=FAINT)
    centre, middle = (LEFT + RIGHT) / 2, TOP + HEIGHT / 2
    label_style = {"fill": FAINT, "text_anchor": "middle"}
    add_text(svg, centre, BOTTOM + 42, "virtual time", **label_style)
    add_text(svg, 18, middle, "devices", transform=f"rotate(-90 18 {middle:g})", **label_style)


def _draw_legend(svg: ET.Element, samples: Sequence[Sample]) -> None:
    """List the states that occurred, from the top area down, with their counts at the end."""
    last = samples[-1].counts
    y = TOP + 4
    add_text(svg, LEGEND_X, y, "at the end", fill=FAINT)
    for name, colour in reversed(STATES.items()):
        if any(getattr(sample.counts, name) for sample in samples):
            y += LINE_HEIGHT
            box = {"width": 13, "height": 13, "fill": colour, "stroke": FAINT}
            add(svg, "rect", x=LEGEND_X, y=y - 11, stroke_width=0.5, **box)
            add_text(svg, LEGEND_X + 20, y, name, fill=INK)
            count = f"{getattr(last, name):,}"
            add_text(svg, WIDTH - 20, y, count, fill=INK, text_anchor="end")
