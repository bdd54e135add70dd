"""Commands of the freeze of all starts, and of quarantine."""

from typing import Annotated, Any

import typer

from fleet.commands.reading import DeviceId
from fleet.commands.steps import By, Reason
from fleet.exit_codes import ExitCode
from fleet.session import Session


def freeze(
    session: Session,
    reason: Annotated[str, typer.Argument(metavar="REASON", help="for everyone to read")],
    until: Annotated[str | None, typer.Option(help="e.g. 2026-12-01T02:00:00Z")] = None,
    condition: Annotated[str | None, typer.Option(help="only devices that match it")] = None,
    by: By = None,
) -> ExitCode:
    """Stop all starts until a time, or until fleet unfreeze."""
    given = {"reason": reason, "until": until, "condition": condition, "by": by}
    return _show(session, session.service.send("PUT", "/freeze", _given(given)))


def unfreeze(session: Session, reason: Reason = None, by: By = None) -> ExitCode:
    """Remove the freeze; rollouts go on."""
    given = {"reason": reason, "by": by}
    return _show(session, session.service.send("DELETE", "/freeze", _given(given)))


def frozen(session: Session) -> ExitCode:
    """Show the latest freeze, and whether it is in force."""
    return _show(session, session.service.get("/freeze"))


def release(session: Session, device: DeviceId) -> ExitCode:
    """Release a device from quarantine, and forget its failures."""
    from fleet.service import quoted

    found = session.service.send("DELETE", f"/devices/{quoted(device)}/quarantine", {})
    if session.for_programs:
        session.print_json(found)
    else:
        print(f"released {device}. It was in quarantine: {found['message']}")
    return ExitCode.DONE


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _show(session: Session, found: dict[str, Any]) -> ExitCode:
    from fleet.texts import time_of

    if session.for_programs:
        session.print_json(found)
    elif not found["active"]:
        print("Starts are not frozen.")
    else:
        until = f" until {time_of(found['until'])}" if found.get("until") else ""
        only = f", devices with {found['condition']}" if found.get("condition") else ""
        print(f"Starts are frozen{until}{only}: {found['reason']} ({found['by']})")
    return ExitCode.DONE
