"""A rollout as a tree of waves, for a terminal of any width."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from fleet import texts
from fleet.durations import describe
from fleet.rate import Rate
from fleet.responses import Json

_STYLES = {
    "completed": "green",
    "running": "cyan",
    "soaking": "cyan",
    "paused": "yellow",
    "failed": "red",
    "cancelled": "red",
}
_MIN_BAR, _MAX_BAR = 6, 40
_MAX_NAME = 16


def draw(rollout: Json, width: int, rate: Rate | None = None) -> RenderableType:
    """Return the tree; long texts wrap, and bars are as long as `width` allows."""
    return Group(*_lines(rollout, width, rate))


def _lines(rollout: Json, width: int, rate: Rate | None) -> Iterator[Text]:
    status = rollout["status"]
    head = Text(f"{rollout['firmware']['version']} ", style="bold")
    yield head.append(status, style=_STYLES.get(status, "")).append(
        f"  {rollout['id']}", style="dim"
    )
    yield Text(texts.counts_line(rollout["counts"]))
    reason = rollout.get("statusReason")
    if reason:
        why, _, step = reason["message"].partition(" Next: ")
        yield Text(f"{reason['code']}: {why}", style="yellow")
        if step:
            yield Text(f"Next: {step}", style="bold")
    waves = rollout["waves"]
    for number, wave in enumerate(waves):
        yield _wave(wave, width, is_last=number == len(waves) - 1)
    for line in texts.gate_lines(rollout):
        yield Text(line, style="dim")
    for line in texts.failure_lines(rollout):
        yield Text(line, style="red")
    if rate is not None and status == "running":
        yield Text(_rate_line(rollout, rate), style="dim")


def _wave(wave: Json, width: int, *, is_last: bool) -> Text:
    counts, size = wave["counts"], wave["size"]
    done, failed = counts["completed"], counts["failed"]
    ended = size - counts["queued"] - counts["updating"]
    name = wave["name"][:_MAX_NAME].ljust(min(_MAX_NAME, max(6, width // 5)))
    tail = f" {done}/{size} {wave['status']}{_failed(wave['status'], failed)}"
    room = width - len(name) - len(tail) - 4
    line = Text(("└─ " if is_last else "├─ ") + name + " ")
    if room >= _MIN_BAR:
        length = min(room, _MAX_BAR)
        full = length * ended // size if size else 0
        bad = min(full, -(-length * failed // size)) if size else 0
        line.append("█" * (full - bad), style="green").append("█" * bad, style="red")
        line.append("░" * (length - full), style="dim")
    return line.append(tail, style=_STYLES.get(wave["status"], ""))


def _failed(status: str, failed: int) -> str:
    """Return how many devices failed, apart from the status of a wave that has failed."""
    if not failed:
        return ""
    return f" ({texts.plural(failed, 'device')})" if status == "failed" else f" ({failed} failed)"


def _rate_line(rollout: Json, rate: Rate) -> str:
    per_minute, left = rate.per_minute(), rate.seconds_left(rollout)
    if per_minute is None:
        return "rate: not known yet"
    ends = f", ends in about {describe(left)}" if left is not None else ""
    return f"rate: {per_minute:.1f} devices/min{ends}"
