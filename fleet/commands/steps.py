"""Commands that change a rollout: pause, resume, cancel, approve, retry, rollback."""

from typing import Annotated, Any

import typer

from fleet.commands.following import RolloutId
from fleet.exit_codes import ExitCode
from fleet.session import Session

Reason = Annotated[str | None, typer.Option(help="for the audit trail")]
By = Annotated[str | None, typer.Option(envvar="FLEET_BY", help="your name, for the audit trail")]
Stratum = Annotated[list[str] | None, typer.Option(help="only this stratum; repeat for more")]


def pause(session: Session, rollout: RolloutId, reason: Reason = None, by: By = None) -> ExitCode:
    """Start no more devices; those that are updating continue."""
    return _send(session, rollout, "pause", reason=reason, by=by)


def resume(
    session: Session,
    rollout: RolloutId,
    revision: Annotated[
        int | None, typer.Option(help="acknowledge the failures that this revision shows")
    ] = None,
    package_uri: Annotated[str | None, typer.Option(help="where the package is now")] = None,
    stratum: Stratum = None,
    reason: Reason = None,
    by: By = None,
) -> ExitCode:
    """Continue a paused rollout. Failures that were shown are acknowledged."""
    more = {"revision": revision, "packageUri": package_uri, "strata": stratum or None}
    return _send(session, rollout, "resume", reason=reason, by=by, **more)


def cancel(
    session: Session,
    rollout: RolloutId,
    stratum: Stratum = None,
    reason: Reason = None,
    by: By = None,
) -> ExitCode:
    """Cancel the devices that have not started."""
    return _send(session, rollout, "cancel", reason=reason, by=by, strata=stratum or None)


def approve(session: Session, rollout: RolloutId, reason: Reason = None, by: By = None) -> ExitCode:
    """Open the wave that waits for approval."""
    return _send(session, rollout, "approve", reason=reason, by=by)


def retry(
    session: Session,
    rollout: RolloutId,
    device: Annotated[list[str] | None, typer.Option(help="only this device; repeat")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="failed (default), skipped, cancelled; repeat")
    ] = None,
    package_uri: Annotated[str | None, typer.Option(help="where the package is now")] = None,
    reason: Reason = None,
    by: By = None,
) -> ExitCode:
    """Queue failed, skipped or cancelled devices again."""
    more = {"deviceIds": device or None, "states": state or None, "packageUri": package_uri}
    return _send(session, rollout, "retry", reason=reason, by=by, **more)


def rollback(
    session: Session,
    rollout: RolloutId,
    stratum: Stratum = None,
    reason: Reason = None,
    by: By = None,
) -> ExitCode:
    """Bring each device back to its earlier firmware by a new rollout."""
    return _send(session, rollout, "rollback", reason=reason, by=by, strata=stratum or None)


def _send(session: Session, rollout_id: str, name: str, **body: Any) -> ExitCode:
    from fleet.service import rollout_path
    from fleet.texts import status_line

    given = {key: value for key, value in body.items() if value is not None}
    found = session.service.send("POST", rollout_path(rollout_id, f"/{name}"), given)
    if session.for_programs:
        session.print_json(found)
    else:
        print(f"rollout {found['id']} is {status_line(found)}")
    return ExitCode.DONE
