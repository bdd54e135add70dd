"""Commands that follow a rollout: watch and wait."""

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.durations import seconds_of
from fleet.exit_codes import ExitCode
from fleet.session import FOLLOWING_PATIENCE_SECONDS, Session

if TYPE_CHECKING:
    from fleet.follow import Change
    from fleet.responses import Json

RolloutId = Annotated[str, typer.Argument(metavar="ROLLOUT", help="a rollout's id")]
Timeout = Annotated[str | None, typer.Option(help="give up after e.g. 2h (exit code 3)")]
FailOnPause = Annotated[
    bool | None,
    typer.Option(
        "--fail-on-pause/--wait-in-pauses",
        help="end with exit code 5 when a person must decide; default in CI",
    ),
]


def wait(
    session: Session,
    rollout: RolloutId,
    timeout: Timeout = None,
    fail_on_pause: FailOnPause = None,
) -> ExitCode:
    """Wait for the end of a rollout; print its changes a line each."""
    return wait_for(session, rollout, timeout, fail_on_pause)


def watch(
    session: Session,
    rollout: RolloutId,
    timeout: Timeout = None,
    fail_on_pause: FailOnPause = None,
) -> ExitCode:
    """Show a rollout as it goes on. A terminal gets a live tree of its waves, a file gets lines."""
    if session.for_programs or not session.console.is_terminal:
        return wait_for(session, rollout, timeout, fail_on_pause)
    from fleet.live import show_live

    changes = _changes(session, rollout, timeout)
    return show_live(session.console, changes, stops_at=_stops_at(fail_on_pause))


def wait_for(
    session: Session, rollout_id: str, timeout: str | None, fail_on_pause: bool | None
) -> ExitCode:
    """Print each change until the rollout is over, or waits for a person if that ends it."""
    from fleet.follow import exit_code_of
    from fleet.texts import event_line, status_line

    stops, shown, last = _stops_at(fail_on_pause), None, None
    for change in _changes(session, rollout_id, timeout):
        last = change.rollout
        for event in change.events:
            if session.options.as_jsonl:
                session.print_json({"type": "event", **event})
            elif not session.options.as_json:
                print(event_line(event), flush=True)
        line = status_line(last)
        if session.options.as_jsonl:
            session.print_json({"type": "rollout", **last})
        elif not session.options.as_json and line != shown:
            print(line, flush=True)
        shown = line
        if stops(last):
            break
    assert last is not None  # noqa: S101 - following yields the rollout at least once
    if session.options.as_json:
        session.print_json(last)
    return ExitCode.PAUSED if last["endedAt"] is None else exit_code_of(last)


def _changes(session: Session, rollout_id: str, timeout: str | None) -> "Iterator[Change]":
    from fleet.follow import follow

    limit = None if timeout is None else seconds_of(timeout)
    patience = FOLLOWING_PATIENCE_SECONDS
    if limit is not None:
        patience = min(patience, limit)
    deadline = None if limit is None else time.monotonic() + limit
    return follow(session.connect(patience), rollout_id, deadline)


def _stops_at(fail_on_pause: bool | None) -> "Callable[[Json], bool]":
    from fleet.follow import waits_for_a_person

    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return waits_for_a_person if (in_ci if fail_on_pause is None else fail_on_pause) else _never


def _never(_: "Json") -> bool:
    return False
