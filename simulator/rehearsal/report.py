"""Print a rehearsal: its course in about twenty lines, its outcome, and the operations it took."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import merge

from rich.console import Console
from rich.table import Table
from rich.text import Text

from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Counts
from simulator.rehearsal.moments import list_quota_waits, status_seconds
from simulator.rehearsal.outages import OutagePeriod
from simulator.rehearsal.outcome import Outcome
from simulator.rehearsal.scale import duration
from simulator.rehearsal.timeline import Sample, Timeline

_MAX_BARS = 20
_MAX_EVENTS = 30
_BAR_CELLS = 40
# Fits "399 days 23 h"; a rehearsal ends after 400 days.
_TIME_WIDTH = 14
_INDENT = " " * (_TIME_WIDTH + 2)
# The sign and the colour of each state, in the order of the bar.
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


def print_report(console: Console, outcome: Outcome, timeline: Timeline) -> None:
    rollout = outcome.rollout
    subject = f"Rehearsal of {rollout.firmware.version} on {_devices(rollout.total, 'virtual ')}"
    console.print(Text(f"{subject}, on a virtual clock", style="bold"))
    console.print(_key(), soft_wrap=True)
    for line in course_lines(timeline, outcome.outages):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_end(outcome, timeline))
    console.print()
    console.print(_wave_table(rollout, timeline.begins))
    if outcome.strata:
        console.print()
        console.print(_stratum_table(outcome))
        if not rollout.strategy.stratify_by:
            console.print("The rollout has no stratifyBy: its waves and gate ignore the strata.")
    console.print(_operations(outcome))


def course_lines(timeline: Timeline, outages: Sequence[OutagePeriod] = ()) -> Iterator[Text]:
    """Yield bars, outages and events in order of virtual time; at the same time, the bar last."""
    events = [
        (timeline.seconds_of(event), 0, Text(f"{event.action}: {event.message}", style="bold"))
        for event in timeline.events[:_MAX_EVENTS]
    ]
    bars = [(item.seconds, 1, _bar(item.counts)) for item in _spread(timeline.samples)]
    marked = [*_outage_lines(outages, timeline.seconds), *_quota_lines(timeline)]
    lines = sorted(marked, key=lambda line: line[:2])
    for seconds, _, words in merge(lines, events, bars, key=lambda line: line[:2]):
        yield Text.assemble((f"{duration(seconds):>{_TIME_WIDTH}}  ", "bright_black"), words)
    omitted = len(timeline.events) - _MAX_EVENTS + timeline.omitted_events
    if omitted > 0:
        noun = "event" if omitted == 1 else "events"
        yield Text(f"{_INDENT}and {omitted:,} more {noun}", style="bright_black")


def _outage_lines(
    outages: Sequence[OutagePeriod], seconds: float
) -> Iterator[tuple[float, int, Text]]:
    """Yield the beginning and the end of each outage that the rehearsal reached."""
    for outage in outages:
        who = f"{outage.where}, {_devices(outage.devices)}"
        for at, what in ((outage.begins, "outage begins"), (outage.ends, "outage ends")):
            if at <= seconds:
                yield at, 0, Text(f"{what}: {who}", style="bold magenta")


def _quota_lines(timeline: Timeline) -> Iterator[tuple[float, int, Text]]:
    """Yield the beginning and the end of each wait for the hub's daily quota."""
    for wait in list_quota_waits(timeline):
        lasts = duration(wait.ends - wait.begins)
        yield wait.begins, 0, Text(f"daily quota used up: waits for {lasts}", style="bold magenta")
        if wait.ends < timeline.seconds:
            yield wait.ends, 0, Text("daily quota: goes on", style="bold magenta")


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """Return at most _MAX_BARS samples, evenly chosen by index, with the first and the last."""
    if len(samples) <= _MAX_BARS:
        return list(samples)
    step = (len(samples) - 1) / (_MAX_BARS - 1)
    return [samples[round(step * line)] for line in range(_MAX_BARS)]


def _bar(counts: Counts) -> Text:
    bar = Text()
    total, cells = 0, 0
    for name, (sign, style) in _CELLS.items():
        total += getattr(counts, name)
        end = round(_BAR_CELLS * total / max(1, counts.total))
        bar.append(sign * (end - cells), style=style)
        cells = end
    bar.append(" " * (_BAR_CELLS - cells))
    return bar.append(f"  {_numbers(counts)}")


def _numbers(counts: Counts) -> str:
    numbers = [(name, getattr(counts, name)) for name in _CELLS]
    return ", ".join(f"{number:,} {name}" for name, number in numbers if number)


def _key() -> Text:
    signs = [(f"{sign} {name}  ", style) for name, (sign, style) in _CELLS.items()]
    return Text.assemble(_INDENT, *signs)


def _end(outcome: Outcome, timeline: Timeline) -> Text:
    rollout = outcome.rollout
    style = _STATUS_STYLES.get(rollout.status, "bold")
    decided = status_seconds(rollout, timeline)
    after = f" after {duration(decided)} of virtual time"
    if timeline.seconds > decided and rollout.ended_at is None:
        more = duration(timeline.seconds - decided)
        after += f"; devices under way were followed for {more} more"
    reason = f"\n{rollout.status_reason.message}" if rollout.status_reason else ""
    return Text.assemble((rollout.status.value, style), after, reason)


def _wave_table(rollout: Rollout, begins: datetime) -> Table:
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


def _stratum_table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("stratum")
    for heading in ("devices", "started", "completed", "failed", "queued"):
        table.add_column(heading, justify="right")
    table.add_column("gate")
    for item in outcome.strata:
        counts = item.counts
        numbers = (counts.total, item.started, counts.completed, counts.failed, counts.queued)
        state = "frozen" if item.frozen else "open"
        table.add_row(Text(item.name), *(f"{number:,}" for number in numbers), state)
    return table


def _operations(outcome: Outcome) -> Text:
    operations = outcome.operations
    hub = (
        f"{operations.methods:,} direct methods, {operations.twin_reads:,} twin reads, "
        f"{operations.twin_updates:,} twin updates, {operations.queries:,} queries, "
        f"{operations.messages:,} messages of the daily quota"
    )
    started = (
        f"{_devices(outcome.started)} started, {outcome.overshoot:,} of them after the gate could "
        "have stopped the rollout (overshoot)."
    )
    return Text(f"\nHub operations: {hub}.\n{started}")


def _devices(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}device{'' if count == 1 else 's'}"
