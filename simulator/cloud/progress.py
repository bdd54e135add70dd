"""Every device's progress as it happens: a live table on a terminal, else a line per change."""

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
# Lines of a terminal that the table does not get: its frame, and what stands above it.
_LINES_KEPT_FREE = 8


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows device updates of the rollout API, each call all of them."""

    def show(self, updates: Iterable[Json]) -> None:
        """Show how every device stands now."""


def progress(console: Console) -> Progress:
    """The display that suits where the output goes."""
    return LiveTable(console) if console.is_terminal else ChangingLines(console)


class ChangingLines:
    """A plain line whenever a device's state changes."""

    def __init__(self, console: Console) -> None:
        """Nothing is printed yet."""
        self._console = console
        self._states: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Nothing to set up."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to tear down."""

    def show(self, updates: Iterable[Json]) -> None:
        """Print the devices whose state is another than at the last call."""
        for update in updates:
            device_id, state = update["deviceId"], update["state"]
            if self._states.get(device_id) != state:
                self._states[device_id] = state
                self._console.print(f"  {device_id}: {_in_words(update)}", highlight=False)


class LiveTable:
    """A table that is redrawn in place; devices that are done make room for others."""

    def __init__(self, console: Console) -> None:
        """Nothing is drawn yet."""
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
        """Redraw the table."""
        room = max(self._console.height - _LINES_KEPT_FREE, 3)
        self._live.update(device_table(list(updates), room))


def device_table(updates: list[Json], room: int) -> Table:
    """A table of at most `room` devices, under way first, with a count of every state."""
    counts = Counter(update["state"] for update in updates)
    table = Table(caption="   ".join(f"{state} {count}" for state, count in counts.items()))
    for heading in ("device", "state", "progress", "method's answer"):
        table.add_column(heading)
    shown = updates
    if len(updates) > room:
        shown = sorted(updates, key=_is_quiet)[:room]
    for update in shown:
        state = update["state"]
        table.add_row(
            update["deviceId"],
            Text(_in_words(update), style=_STYLES.get(state, "")),
            _bar(update),
            str((update.get("method") or {}).get("status", "")),
        )
    return table


def _is_quiet(update: Json) -> bool:
    return update["state"] in ("queued", "completed")


def _in_words(update: Json) -> str:
    state, error = update["state"], update.get("error")
    if error:
        return f"{state}: {error['code']}, {error['message']}"
    return str(state)


def _bar(update: Json) -> Text:
    percent = 100 if update["state"] == "completed" else update.get("progressPercent") or 0
    filled = round(_BAR_WIDTH * percent / 100)
    return Text("━" * filled, style="green") + Text("━" * (_BAR_WIDTH - filled), style="dim")
