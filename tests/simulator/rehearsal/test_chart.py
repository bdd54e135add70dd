"""The chart is valid SVG, its areas add up, and it shows seconds as well as weeks."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Counts
from simulator.rehearsal.chart import STATES, draw_chart
from simulator.rehearsal.chart_layout import BOTTOM, HEIGHT, LEFT, RIGHT
from simulator.rehearsal.timeline import Timeline
from tests.functions.builders import NOON, at
from tests.simulator.rehearsal.builders import make_event, make_rollout

SVG = "{http://www.w3.org/2000/svg}"
DEVICES = 100
COUNTS = st.lists(st.integers(0, DEVICES), min_size=6, max_size=6).map(
    lambda cuts: Counts(
        **{
            name: end - begin
            for name, (begin, end) in zip(
                STATES, pairwise([0, *sorted(cuts), DEVICES]), strict=True
            )
        }
    )
)


def draw(
    samples: Sequence[tuple[float, Counts]],
    events: Sequence[Event] = (),
    rollout: Rollout | None = None,
) -> ET.Element:
    timeline = Timeline(NOON)
    for seconds, counts in samples:
        timeline.record(at(seconds), make_rollout(events=events, counts=counts))
    shown = rollout or make_rollout(counts=samples[-1][1])
    return ET.fromstring(draw_chart(shown, timeline))  # noqa: S314 - made by the code under test


def texts(svg: ET.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def areas(svg: ET.Element) -> dict[str, list[tuple[float, float]]]:
    """Return the corners of each area: its upper side forward, then its lower side back."""
    return {
        element.attrib["class"]: [
            (float(x), float(y))
            for x, y in (corner.split(",") for corner in element.attrib["points"].split())
        ]
        for element in svg.iter(f"{SVG}polygon")
    }


def sides(corners: list[Any]) -> tuple[list[Any], list[Any]]:
    half = len(corners) // 2
    return corners[:half], corners[: half - 1 : -1]


@given(counts=st.lists(COUNTS, min_size=1, max_size=12), step=st.sampled_from([0.5, 60, 90_000]))
def test_areas_go_forward_lie_on_each_other_and_fill_the_axes(
    counts: list[Counts], step: float
) -> None:
    svg = draw([(number * step, item) for number, item in enumerate(counts)])

    below: list[Any] | None = None
    for corners in areas(svg).values():
        upper, lower = sides(corners)
        assert [x for x, _ in upper] == [x for x, _ in lower] == sorted(x for x, _ in upper)
        assert below is None or below == lower
        below = upper
    assert below is not None
    assert {y for _, y in below} == {BOTTOM - HEIGHT}
    assert (below[0][0], below[-1][0]) == (LEFT, RIGHT)


def test_an_area_is_as_high_as_its_share_of_the_devices() -> None:
    svg = draw([(0, Counts(queued=100)), (60, Counts(queued=50, completed=40, failed=10))])

    heights = {}
    for name, corners in areas(svg).items():
        upper, lower = sides(corners)
        heights[name] = (lower[-1][1] - upper[-1][1]) / HEIGHT
    assert heights == pytest.approx({"completed": 0.4, "queued": 0.5, "failed": 0.1}, abs=0.001)


def test_states_that_never_occurred_are_not_in_the_legend() -> None:
    shown = texts(draw([(0, Counts(queued=9)), (60, Counts(completed=9))]))

    assert {"completed", "queued"} <= set(shown)
    assert not {"failed", "soaking", "skipped", "cancelled"} & set(shown)


@pytest.mark.parametrize(
    ("seconds", "label"), [(0, "1 s"), (45, "10 s"), (3600, "10 min"), (26 * 86_400, "5 days")]
)
def test_time_is_labelled_in_units_that_fit_its_length(seconds: float, label: str) -> None:
    assert label in texts(draw([(0, Counts(queued=3)), (seconds, Counts(completed=3))]))


def test_a_rehearsal_without_samples_can_be_drawn() -> None:
    svg = ET.fromstring(draw_chart(make_rollout(), Timeline(NOON)))  # noqa: S314 - made by the code under test

    assert svg.tag == f"{SVG}svg"


def test_title_and_reason_say_how_it_ended() -> None:
    rollout = replace(
        make_rollout(status=RolloutStatus.PAUSED, counts=Counts(failed=3)),
        status_reason=Reason(code="failureGate", message="3 of 3 failed."),
    )
    svg = draw([(0, Counts(failed=3))], rollout=rollout)

    assert "Rollout of 2.4.0: paused" in texts(svg)
    assert "3 of 3 failed." in texts(svg)
    assert svg.findtext(f"{SVG}title") == "Rollout of 2.4.0: paused"
    assert any("virtual devices" in shown for shown in texts(svg))


def test_events_are_marked_at_their_time_and_listed() -> None:
    svg = draw(
        [(0, Counts(queued=3)), (100, Counts(completed=3))],
        [make_event(0, "created"), make_event(50, "paused", "Paused by ada.")],
    )

    marked = [line for line in svg.iter(f"{SVG}line") if "stroke-dasharray" in line.attrib]
    assert [float(line.attrib["x1"]) for line in marked] == [(LEFT + RIGHT) / 2]
    assert "Paused by ada." in texts(svg)
    assert "created at 0" not in texts(svg)


def test_of_many_events_the_first_and_the_last_are_listed() -> None:
    events = [make_event(second, "paused", f"event {second}") for second in range(30)]

    shown = texts(draw([(0, Counts(queued=3)), (100, Counts(completed=3))], events))

    listed = [words for words in shown if words.startswith("event ")]
    assert listed == [f"event {number}" for number in (*range(7), *range(25, 30))]
    assert "… 18 more" in shown


@given(message=st.text(max_size=400))
def test_any_message_can_be_written(message: str) -> None:
    draw([(0, Counts(queued=3))], [make_event(0, "paused", message)])
