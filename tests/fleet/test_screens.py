"""Draw a rollout at several widths, with and without colour."""

import io
from typing import Any

import pytest
from rich.console import Console

from fleet import texts
from fleet.rate import Rate
from fleet.tree import draw


def counts(**states: int) -> dict[str, int]:
    known = {"queued": 0, "updating": 0, "completed": 0, "failed": 0, "cancelled": 0, "skipped": 0}
    return {**known, **states, "total": sum(states.values())}


ROLLOUT: dict[str, Any] = {
    "id": "98203873600000-4da43c6da5d7",
    "status": "running",
    "statusReason": {"code": "frozen", "message": "Starts are frozen by ada: incident 4711."},
    "firmware": {"version": "2.4.0"},
    "counts": counts(queued=80, updating=10, completed=8, failed=2),
    "waves": [
        {"name": "canary", "size": 5, "status": "completed", "counts": counts(completed=5)},
        {
            "name": "a-wave-with-a-very-long-name",
            "size": 95,
            "status": "running",
            "counts": counts(queued=80, updating=10, completed=3, failed=2),
        },
    ],
    "gate": [
        {
            "wave": "rest",
            "failed": 2,
            "healthy": 3,
            "failuresToBreach": 2,
            "healthyToAcceptable": 31,
        }
    ],
    "failures": [{"code": "reported", "count": 2, "example": "d-007"}],
}


def screen(width: int, **options: Any) -> str:
    return screen_of(ROLLOUT, width, **options)


def screen_of(rollout: Any, width: int, **options: Any) -> str:
    rate = Rate()
    rate.add({"counts": counts(queued=95, updating=5)}, 0.0)
    rate.add(ROLLOUT, 120.0)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, **options)
    console.print(draw(rollout, width, rate))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.mark.parametrize("width", [20, 50, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    shown = screen(width, no_color=True, color_system=None).splitlines()
    assert max(map(len, shown)) <= width
    assert any("canary" in line for line in shown)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_a_wave_has_one_line_with_a_bar_and_its_counts(width: int) -> None:
    shown = screen(width, no_color=True, color_system=None).splitlines()
    canary = next(line for line in shown if "canary" in line)
    assert "█" in canary
    assert canary.endswith("5/5 completed")


def test_gate_failures_and_rate_are_shown() -> None:
    shown = screen(120, no_color=True, color_system=None)
    assert "gate rest: 2 failed, 3 healthy; 2 more failures in a row breach it" in shown
    assert "reported: 2 devices, such as d-007" in shown
    assert "rate: 5.0 devices/min, ends in about 18 min" in shown


def test_a_paused_rollout_shows_the_next_step_and_no_rate() -> None:
    reason = {"code": "failureGate", "message": "Wave canary: bad. Next: fleet resume r-1 goes on."}
    paused = {**ROLLOUT, "status": "paused", "statusReason": reason}
    waves = [{**ROLLOUT["waves"][1], "name": "canary", "status": "failed"}]
    shown = screen_of({**paused, "waves": waves}, 120, no_color=True, color_system=None)
    assert "failureGate: Wave canary: bad.\nNext: fleet resume r-1 goes on.\n" in shown
    assert "rate" not in shown
    assert "3/95 failed (2 devices)" in shown


def test_no_color_means_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in screen(80, color_system="standard")


def test_a_breached_gate_is_shown_without_what_would_have_been_good() -> None:
    gate = {
        "wave": "canary",
        "stratum": None,
        "failed": 3,
        "healthy": 7,
        "failuresToBreach": 0,
        "healthyToAcceptable": 97,
    }
    assert texts.gate_lines({"gate": [gate]}) == [
        "gate canary: 3 failed, 7 healthy; it is breached"
    ]
