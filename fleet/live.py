"""Show a rollout live in a terminal."""

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.live import Live

from fleet.exit_codes import ExitCode
from fleet.follow import Change, exit_code_of
from fleet.rate import Rate
from fleet.responses import Json
from fleet.texts import event_line
from fleet.tree import draw


def show_live(
    console: Console, changes: Iterable[Change], stops_at: Callable[[Json], bool]
) -> ExitCode:
    """Draw each change over the last one; print events above it. Return how it ended."""
    rate, code, is_first = Rate(), ExitCode.PAUSED, True
    with Live(console=console, auto_refresh=False) as live:
        for change in changes:
            for event in () if is_first else change.events:
                live.console.print(event_line(event), style="dim")
            is_first = False
            rate.add(change.rollout, time.monotonic())
            live.update(draw(change.rollout, console.width, rate), refresh=True)
            if change.rollout["endedAt"] is not None:
                code = exit_code_of(change.rollout)
            elif stops_at(change.rollout):
                break
    return code
