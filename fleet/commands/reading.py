"""Commands that read: list, show, devices, why, events, device, export, open."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from fleet.commands.following import RolloutId
from fleet.exit_codes import ExitCode, NotFoundError, UsageError
from fleet.session import Session

DeviceId = Annotated[str, typer.Argument(metavar="DEVICE", help="a device's id")]
Limit = Annotated[int, typer.Option(min=0, help="the most to list; 0: all")]


def list_rollouts(
    session: Session,
    status: Annotated[str | None, typer.Option(help="scheduled, running, paused, ...")] = None,
    limit: Limit = 20,
) -> ExitCode:
    """List rollouts, newest first."""
    from fleet.texts import counts_line, time_of

    found = session.service.pages("/rollouts", {"status": status}, limit or None)
    if session.for_programs:
        session.print_items(found)
        return ExitCode.DONE
    for item in found:
        version, created = item["firmware"]["version"], time_of(item["createdAt"])
        print(
            f"{item['id']}  {created}  {version}  {item['status']}  {counts_line(item['counts'])}"
        )
    return ExitCode.DONE


def show(session: Session, rollout: RolloutId) -> ExitCode:
    """Show a rollout: waves, counts, gate, failures."""
    from fleet.service import rollout_path

    found = session.service.get(rollout_path(rollout))
    if session.for_programs:
        session.print_json(found)
        return ExitCode.DONE
    from fleet.tree import draw

    session.console.print(draw(found, session.console.width))
    return ExitCode.DONE


def devices(
    session: Session,
    rollout: RolloutId,
    state: Annotated[str | None, typer.Option(help="queued, failed, ...")] = None,
    error_code: Annotated[str | None, typer.Option(help="of failed devices: reported, ...")] = None,
    wave: Annotated[str | None, typer.Option(help="name of a wave")] = None,
    limit: Limit = 100,
) -> ExitCode:
    """List the devices of a rollout, in start order."""
    from itertools import islice

    from fleet.service import rollout_path
    from fleet.texts import device_line

    query = {"state": state, "errorCode": error_code, "wave": wave, "limit": 100}
    # An earlier release of the service ignores filters that it does not know, and lists all.
    found = (
        item
        for item in session.service.pages(rollout_path(rollout, "/devices"), query)
        if wave in {None, item["wave"]}
        and error_code in {None, (item.get("error") or {}).get("code")}
    )
    limited = islice(found, limit or None)
    if session.for_programs:
        session.print_items(limited)
        return ExitCode.DONE
    for item in limited:
        print(device_line(item))
    return ExitCode.DONE


def why(
    session: Session,
    device: DeviceId,
    rollout: Annotated[str | None, typer.Option(help="default: the device's latest")] = None,
) -> ExitCode:
    """Say why a device is in its state, with its history."""
    from fleet.service import quoted, rollout_path
    from fleet.texts import device_line, time_of

    if rollout is not None:
        found = session.service.get(rollout_path(rollout, f"/devices/{quoted(device)}"))
    else:
        newest = session.service.pages(f"/devices/{quoted(device)}/rollouts", {"limit": 1}, 1)
        latest = next(newest, None)
        if latest is None:
            raise NotFoundError(f"Device {device!r} took part in no rollout.")
        found = latest
    if session.for_programs:
        session.print_json(found)
        return ExitCode.DONE
    print(device_line(found))
    print(found["explanation"])
    for step in found["history"]:
        print(f"  {time_of(step['at'])} {step['state']}: {step['message']}")
    return ExitCode.DONE


def device(session: Session, device: DeviceId, limit: Limit = 20) -> ExitCode:
    """List the rollouts of a device, newest first."""
    from fleet.service import quoted
    from fleet.texts import time_of

    path = f"/devices/{quoted(device)}/rollouts"
    found = session.service.pages(path, {}, limit or None)
    if session.for_programs:
        session.print_items(found)
        return ExitCode.DONE
    kept = session.service.get(path, {"limit": 1}).get("quarantine")
    if kept:
        print(kept["message"])
    for item in found:
        version, at = item["firmware"]["version"], time_of(item["queuedAt"])
        print(f"{item['rolloutId']}  {at}  {version}  {item['state']}  {item['explanation']}")
    return ExitCode.DONE


def events(session: Session, rollout: RolloutId) -> ExitCode:
    """List the audit trail of a rollout, oldest first."""
    from fleet.service import rollout_path
    from fleet.texts import event_line

    found = session.service.pages(rollout_path(rollout, "/events"), {"limit": 100})
    if session.for_programs:
        session.print_items(found)
        return ExitCode.DONE
    for event in found:
        print(event_line(event))
    return ExitCode.DONE


def export(
    session: Session,
    rollout: RolloutId,
    output: Annotated[Path | None, typer.Option(help="a file; default: standard output")] = None,
) -> ExitCode:
    """Write everything that is stored of a rollout, as JSON lines."""
    from fleet.service import rollout_path

    lines = session.service.json_lines(rollout_path(rollout, "/export"))
    if output is None:
        for line in lines:
            print(json.dumps(line, separators=(",", ":")))
    else:
        _write_file(output, lines)
    return ExitCode.DONE


def _write_file(output: Path, lines: Iterable[Any]) -> None:
    """Write JSON lines to a file. A regular file has its name only once it is complete."""
    is_special = output.exists() and not (output.is_file() or output.is_dir())  # /dev/null, a pipe
    part = output if is_special else output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        if not is_special:
            part.replace(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from None
    finally:
        if not is_special:
            part.unlink(missing_ok=True)


def open_page(
    session: Session,
    rollout: Annotated[str | None, typer.Argument(metavar="ROLLOUT", help="its id")] = None,
) -> ExitCode:
    """Open the page of the API in a browser; print its address."""
    import webbrowser

    from fleet.service import quoted

    address = f"{session.service.api}/ui" + (f"?rollout={quoted(rollout)}" if rollout else "")
    print(address, flush=True)
    if sys.stdout.isatty():
        webbrowser.open(address)
    return ExitCode.DONE
