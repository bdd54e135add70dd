"""Show every device's progress: a live table on a terminal, else a line per change."""

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

type Json = dict[str, Any]

_STYLES = {
    "queued": "dim",
    "dispatching": "cyan",
    "accepted": "cyan",
    "downloading": "yellow",
    "applying": "yellow",
    "completed": "green",
    "failed": "red",
}
_BAR_WIDTH = 20
# Lines of a terminal that are not for devices: the table's frame, and what is above it.
_RESERVED_LINES = 8


class Progress(AbstractContextManager["Progress"], Protocol):
    """A display of the device updates of one rollout."""

    def show(self, updates: Iterable[Json]) -> None:
        """Show all device updates as they are now."""


def progress(console: Console) -> Progress:
    """Return the display that suits the console."""
    return LiveTable(console) if console.is_terminal else ChangingLines(console)


class ChangingLines:
    """Prints a line whenever a device's state changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, updates: Iterable[Json]) -> None:
        """Print the devices whose state has changed since the last call."""
        for update in updates:
            device_id, state = update["deviceId"], update["state"]
            if self._states.get(device_id) != state:
                self._states[device_id] = state
                self._console.print(f"  {device_id}: {_describe(update)}", highlight=False)


class LiveTable:
    """Redraws a table; completed devices make room for others."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last table on the terminal."""
        self._live.stop()

    def show(self, updates: Iterable[Json]) -> None:
        """Update the table."""
        room = max(self._console.height - _RESERVED_LINES, 3)
        self._live.update(device_table(list(updates), room))


def device_table(updates: list[Json], room: int) -> Table:
    """Return a table of at most `room` devices, updating ones first, with a count per state."""
    counts = Counter(update["state"] for update in updates)
    table = Table(caption="   ".join(f"{state} {count}" for state, count in counts.items()))
    for heading in ("device", "state", "progress", "method response"):
        table.add_column(heading)
    shown = updates
    if len(updates) > room:
        shown = sorted(updates, key=_is_idle)[:room]
    for update in shown:
        state = update["state"]
        table.add_row(
            update["deviceId"],
            Text(_describe(update), style=_STYLES.get(state, "")),
            _bar(update),
            str((update.get("method") or {}).get("status", "")),
        )
    return table


def _is_idle(update: Json) -> bool:
    return update["state"] in ("queued", "completed")


def _describe(update: Json) -> str:
    state, error = update["state"], update.get("error")
    if error:
        return f"{state}: {error['code']}, {error['message']}"
    return str(state)


def _bar(update: Json) -> Text:
    percent = 100 if update["state"] == "completed" else update.get("progressPercent") or 0
    filled = round(_BAR_WIDTH * percent / 100)
    return Text("━" * filled, style="green") + Text("━" * (_BAR_WIDTH - filled), style="dim")
