"""The display of the progress of a rollout's devices."""

from io import StringIO
from typing import Any

from rich.console import Console

from simulator.cloud.progress import ChangingLines, LiveTable, device_table, progress


def make_update(device_id: str, state: str, **fields: Any) -> dict[str, Any]:
    empty = {"progressPercent": None, "error": None, "method": None}
    return {"deviceId": device_id, "state": state} | empty | fields


def print_table(updates: list[dict[str, Any]], room: int = 10) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(device_table(updates, room))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_a_table_and_every_other_output_lines() -> None:
    assert isinstance(progress(Console(file=StringIO(), force_terminal=True)), LiveTable)
    assert isinstance(progress(Console(file=StringIO())), ChangingLines)


def test_a_line_is_printed_when_a_state_changes_and_only_then() -> None:
    output = StringIO()
    with ChangingLines(Console(file=output)) as lines:
        for state in ("accepted", "accepted", "downloading"):
            lines.show([make_update("d1", state), make_update("d2", "queued")])

    assert output.getvalue().splitlines() == [
        "  d1: accepted",
        "  d2: queued",
        "  d1: downloading",
    ]


def test_a_failure_is_shown_with_its_error() -> None:
    error = {"code": "timedOut", "message": "no end within PT2M"}

    assert "failed: timedOut, no end within PT2M" in print_table(
        [make_update("d1", "failed", error=error)]
    )


def test_a_table_counts_every_state() -> None:
    updates = [make_update(f"d{number}", "completed") for number in range(3)]

    text = print_table([*updates, make_update("d9", "applying")])

    assert "completed 3" in text
    assert "applying 1" in text


def test_a_table_with_too_little_room_shows_updating_devices() -> None:
    updates = [make_update(f"done{number}", "completed") for number in range(200)]
    busy = [make_update(f"busy{number}", "downloading") for number in range(3)]

    text = print_table([*updates, *busy], room=4)

    assert all(f"busy{number}" in text for number in range(3))
    assert text.count("done") == 1
    assert "completed 200" in text
