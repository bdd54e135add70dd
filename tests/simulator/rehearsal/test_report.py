"""The printed report: the course of the rehearsal, its outcome, and the hub operations."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.wave import Counts, WaveStatus
from simulator.rehearsal.meter import Operations
from simulator.rehearsal.outcome import Outcome
from simulator.rehearsal.report import course_lines, print_report
from simulator.rehearsal.timeline import Timeline
from tests.functions.builders import NOON, at
from tests.simulator.rehearsal.builders import make_event, make_rollout


def test_the_course_has_about_twenty_bars_with_the_events_between() -> None:
    timeline = Timeline(NOON)
    events = [make_event(500, "paused", "Too many failed.")]
    for second in range(1000):
        counts = Counts(queued=1000 - second, completed=second)
        recorded = events if second >= 500 else []
        timeline.record(at(second), make_rollout(events=recorded, counts=counts))

    lines = [line.plain for line in course_lines(timeline)]

    assert 18 <= len(lines) <= 21
    assert lines[0].split() == ["0", "s", "·" * 40, "1,000", "queued"]
    assert lines[-1].endswith("999 completed, 1 queued")
    index = next(number for number, line in enumerate(lines) if "Too many failed." in line)
    assert 8 <= index <= 12


def test_skipped_time_takes_no_bars_from_the_rest() -> None:
    timeline = Timeline(NOON)
    for day in range(2):
        for second in range(100):
            counts = Counts(queued=200 - 100 * day - second, completed=100 * day + second)
            timeline.add_sample(day * 500_000 + second, counts)

    bars = [line.plain for line in course_lines(timeline)]

    assert sum("5 days" in bar for bar in bars) == len(bars) / 2
    assert len({bar[16:] for bar in bars}) == 20


def test_a_bar_has_the_same_width_whatever_it_shows() -> None:
    timeline = Timeline(NOON)
    parts = [Counts(), Counts(failed=1), Counts(completed=1, failed=1, skipped=1)]
    for second, counts in enumerate(parts):
        timeline.add_sample(second, counts)

    bars = [line.plain[16:56] for line in course_lines(timeline)]
    assert [len(bar) for bar in bars] == [40, 40, 40]
    assert bars[1] == "x" * 40


def test_a_report_has_the_outcome_the_waves_and_the_hub_operations() -> None:
    timeline = Timeline(NOON)
    rollout = make_rollout(status=RolloutStatus.FAILED, counts=Counts(completed=2, failed=3))
    rollout = replace(
        rollout,
        status_reason=Reason(code="successShare", message="2 of 5 completed."),
        waves=(replace(rollout.waves[0], status=WaveStatus.FAILED, ended_at=at(90)),),
    )
    timeline.record(at(90), rollout)
    operations = Operations(methods=5, messages=1234)
    outcome = Outcome(rollout=rollout, started=5, overshoot=1, operations=operations)
    written = StringIO()

    print_report(Console(file=written, width=100), outcome, timeline)

    shown = " ".join(written.getvalue().split())
    assert "on 5 virtual devices" in shown
    assert "failed after 1 min 30 s of virtual time" in shown
    assert "2 of 5 completed." in shown
    assert "5 direct methods" in shown
    assert "1,234 messages of the daily quota" in shown
    assert "5 devices started, 1 of them after the gate could have stopped" in shown
