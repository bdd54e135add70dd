"""A rehearsal told on a console: its way in about twenty lines, how it ended, and what it took."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import merge

from rich.console import Console
from rich.table import Table
from rich.text import Text

from functions.rollouts.model.rollout import Counts, Rollout, RolloutStatus
from simulator.rehearsal.outcome import Outcome
from simulator.rehearsal.scale import duration
from simulator.rehearsal.timeline import Sample, Timeline

_LINES = 20
_EVENTS = 30
_BAR_CELLS = 40
# A sign and a colour for each state, in the order in which they stand in the bar.
_CELLS = {
    "completed": ("█", "green"),
    "soaking": ("▓", "cyan"),
    "updating": ("▒", "blue"),
    "queued": ("·", "bright_black"),
    "skipped": ("-", "yellow"),
    "cancelled": ("/", "bright_black"),
    "failed": ("x", "red"),
}
_STATUS_STYLES = {
    RolloutStatus.COMPLETED: "bold green",
    RolloutStatus.FAILED: "bold red",
    RolloutStatus.CANCELLED: "bold red",
    RolloutStatus.PAUSED: "bold yellow",
}


def show(console: Console, outcome: Outcome, timeline: Timeline) -> None:
    """Print all of it."""
    rollout = outcome.rollout
    what = f"Rehearsal of {rollout.firmware.version} on {rollout.total:,} pretended devices"
    console.print(Text(f"{what}, on a virtual clock", style="bold"))
    console.print(_key())
    for line in way(timeline):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_ending(outcome, timeline))
    console.print()
    console.print(_waves(rollout, timeline.begins))
    console.print(_took(outcome))


def way(timeline: Timeline) -> Iterator[Text]:
    """Bars and events in the order of virtual time; at the same moment, the event first."""
    events = [
        (timeline.seconds_of(event), 0, Text(f"{event.action}: {event.message}", style="bold"))
        for event in timeline.events[:_EVENTS]
    ]
    bars = [(item.seconds, 1, _bar(item.counts)) for item in _evenly(timeline.samples)]
    for seconds, _, words in merge(events, bars, key=lambda line: line[:2]):
        yield Text.assemble((f"{duration(seconds):>12}  ", "bright_black"), words)
    left_out = len(timeline.events) - _EVENTS + timeline.events_left_out
    if left_out > 0:
        yield Text(f"{'':14}and {left_out} more events", style="bright_black")


def _evenly(samples: Sequence[Sample]) -> list[Sample]:
    """Twenty at most with the first and the last, evenly among them: times left out have none."""
    if len(samples) <= _LINES:
        return list(samples)
    step = (len(samples) - 1) / (_LINES - 1)
    return [samples[round(step * line)] for line in range(_LINES)]


def _bar(counts: Counts) -> Text:
    bar = Text()
    so_far, cells = 0, 0
    for name, (sign, style) in _CELLS.items():
        so_far += getattr(counts, name)
        until = round(_BAR_CELLS * so_far / max(1, counts.total))
        bar.append(sign * (until - cells), style=style)
        cells = until
    bar.append(" " * (_BAR_CELLS - cells))
    return bar.append(f"  {_numbers(counts)}")


def _numbers(counts: Counts) -> str:
    there = [(name, getattr(counts, name)) for name in _CELLS]
    return ", ".join(f"{number:,} {name}" for name, number in there if number)


def _key() -> Text:
    signs = [(f"{sign} {name}  ", style) for name, (sign, style) in _CELLS.items()]
    return Text.assemble(" " * 14, *signs)


def _ending(outcome: Outcome, timeline: Timeline) -> Text:
    rollout = outcome.rollout
    style = _STATUS_STYLES.get(rollout.status, "bold")
    after = f" after {duration(timeline.seconds)} of virtual time"
    reason = f"\n{rollout.status_reason.message}" if rollout.status_reason else ""
    return Text.assemble((rollout.status.value, style), after, reason)


def _waves(rollout: Rollout, begins: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("wave")
    table.add_column("status")
    for heading in ("devices", "completed", "failed", "opened", "ended"):
        table.add_column(heading, justify="right")

    def since(at: datetime | None) -> str:
        return duration(max(0.0, (at - begins).total_seconds())) if at else "-"

    for wave in rollout.waves:
        counts = wave.counts
        numbers = [f"{number:,}" for number in (wave.size, counts.completed, counts.failed)]
        times = [since(wave.started_at), since(wave.ended_at)]
        table.add_row(Text(wave.name), wave.status.value, *numbers, *times)
    return table


def _took(outcome: Outcome) -> Text:
    spent = outcome.operations
    hub = (
        f"{spent.methods:,} methods, {spent.twin_reads:,} twin reads, "
        f"{spent.twin_updates:,} twin updates, {spent.queries:,} queries, "
        f"{spent.messages:,} messages"
    )
    started = f"{outcome.started:,} updates started, {outcome.overshoot:,} of them too late to stop"
    return Text(f"\nhub: {hub}\n{started}")
