"""Commands that plan and create rollouts."""

import json
import uuid
from typing import Annotated

import typer

from fleet.commands.following import FailOnPause, Timeout, wait_for
from fleet.durations import seconds_of
from fleet.exit_codes import ExitCode, UsageError
from fleet.rollout_options import RolloutOptions, build_body
from fleet.session import Session


def plan(session: Session, wanted: RolloutOptions) -> ExitCode:
    """Show what a rollout would do, without creating it."""
    from fleet.texts import plan_line

    found = session.service.send("POST", "/rollouts/plan", build_body(wanted), key=_new_key())
    if session.for_programs:
        session.print_json(found)
        return ExitCode.DONE
    print(plan_line(found))
    for wave in found["waves"]:
        print(f"  {wave['name']}: {wave['size']}" + (", after approval" * wave["approval"]))
    for warning in found["warnings"]:
        print(f"warning {warning['code']}: {warning['message']}")
    print(f"plan hash: {found['planHash']}")
    return ExitCode.DONE


def create(
    session: Session,
    wanted: RolloutOptions,
    plan_hash: Annotated[
        str | None, typer.Option(help="of a plan; exit code 6 if that has changed")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same for all runs of one build: one rollout only")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="then wait for its end")] = False,
    timeout: Timeout = None,
    fail_on_pause: FailOnPause = None,
) -> ExitCode:
    """Create a rollout."""
    limit = None if timeout is None else seconds_of(timeout)  # checked before anything is created
    if not wait and (limit, fail_on_pause) != (None, None):
        raise UsageError("--timeout, --fail-on-pause and --wait-in-pauses are of --wait; set it.")
    body = build_body(wanted, plan_hash)
    key = idempotency_key or _new_key()
    created = session.service.send("POST", "/rollouts", body, key=key)
    if session.for_programs and not wait:
        session.print_json(created)
    elif session.options.as_jsonl:
        print(json.dumps({"type": "created", **created}), flush=True)
    elif not session.options.as_json:
        print(f"rollout {created['id']}: {created['firmware']['version']}", flush=True)
        for warning in created.get("warnings") or []:
            print(f"warning {warning['code']}: {warning['message']}", flush=True)
    return wait_for(session, created["id"], timeout, fail_on_pause) if wait else ExitCode.DONE


def _new_key() -> str:
    return str(uuid.uuid4())
