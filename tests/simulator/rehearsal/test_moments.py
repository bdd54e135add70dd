"""A rehearsal says when its rollout paused, and marks waits for the daily quota."""

from io import StringIO

import pytest
from rich.console import Console

from functions.rollouts.model.outage import DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.wave import Counts
from simulator.rehearsal.chart import draw_chart
from simulator.rehearsal.meter import Operations
from simulator.rehearsal.moments import QuotaWait, list_quota_waits, status_seconds
from simulator.rehearsal.outcome import Outcome, to_json
from simulator.rehearsal.report import course_lines, print_report
from simulator.rehearsal.timeline import Timeline
from tests.functions.builders import NOON, at, change
from tests.simulator.rehearsal.builders import make_event, make_rollout


def paused_early() -> tuple[Outcome, Timeline]:
    """Return a rehearsal that paused after a minute and followed devices for an hour."""
    timeline, events = Timeline(NOON), [make_event(60, "paused", "Bad.")]
    timeline.record(at(0), make_rollout(counts=Counts(updating=2)))
    rollout = make_rollout(status=RolloutStatus.PAUSED, events=events, counts=Counts(failed=2))
    timeline.record(at(3660), rollout)
    operations = Operations()
    return Outcome(rollout=rollout, started=2, overshoot=0, operations=operations), timeline


def waited() -> Timeline:
    """Return a timeline with two waits for the quota, of which the second lasts."""
    timeline = Timeline(NOON)
    ended = Outage(code=DAILY_QUOTA, message="m", since=at(100), until=at(40_000))
    hub = Outage(code=HUB, message="m", since=at(1), until=at(2))
    lasting = Outage(code=DAILY_QUOTA, message="m", since=at(50_000))
    first = make_rollout(counts=Counts(queued=2))
    timeline.record(at(100), change(first, outages=(hub, ended)))
    timeline.record(at(60_000), change(first, outages=(lasting,)))
    return timeline


def test_the_moment_of_the_pause_is_told_and_not_that_of_the_last_observation() -> None:
    outcome, timeline = paused_early()
    console = Console(file=StringIO(), width=200)
    print_report(console, outcome, timeline)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert (
        "paused after 1 min of virtual time; devices under way were followed for 1 h more" in text
    )
    shown = to_json(outcome, timeline)
    assert (shown["statusSeconds"], shown["seconds"]) == (60.0, 3660.0)
    assert "paused after 1 min" in draw_chart(outcome.rollout, timeline)


@pytest.mark.parametrize(
    ("reason", "expected"), [("Wave b waits for approval.", 60.0), ("Another.", 3660.0)]
)
def test_a_wait_for_approval_has_the_moment_of_its_event(reason: str, expected: float) -> None:
    timeline = Timeline(NOON)
    event = make_event(60, "approval", "Wave b waits for approval.")
    rollout = make_rollout(status=RolloutStatus.RUNNING, events=[event], counts=Counts())
    rollout = change(rollout, status_reason=Reason(code="awaitingApproval", message=reason))
    timeline.record(at(3660), rollout)
    assert status_seconds(rollout, timeline) == expected


def test_a_rollout_that_is_over_has_the_moment_of_its_end() -> None:
    timeline = Timeline(NOON)
    rollout = make_rollout(status=RolloutStatus.COMPLETED, counts=Counts(completed=1))
    timeline.record(at(3660), rollout)
    assert status_seconds(change(rollout, ended_at=at(1800)), timeline) == 1800.0


def test_waits_for_the_quota_are_marked_in_text_and_chart() -> None:
    timeline = waited()
    assert list_quota_waits(timeline) == [QuotaWait(100, 40_000), QuotaWait(50_000, 60_000)]
    lines = [line.plain.strip() for line in course_lines(timeline)]
    assert any(line.endswith("daily quota used up: waits for 11 h 5 min") for line in lines)
    assert sum("daily quota: goes on" in line for line in lines) == 1
    svg = draw_chart(make_rollout(counts=Counts(queued=2)), timeline)
    assert svg.count('class="quota"') == 2
    assert "daily quota used up for 2 h 46 min" in svg


def test_a_rehearsal_without_a_wait_marks_none() -> None:
    outcome, timeline = paused_early()
    assert to_json(outcome, timeline)["quotaWaits"] == []
    assert "quota" not in draw_chart(outcome.rollout, timeline)
