"""Run the steps of a build: plan, create, wait; show in the build what comes of them."""

import time
import uuid
from dataclasses import dataclass
from itertools import islice

from fleet.durations import seconds_of
from fleet.exit_codes import CommandError, ExitCode, UnreachableError, UsageError
from fleet.follow import exit_code_of, follow, waits_for_a_person
from fleet.pipeline.comments import CommentError, comment
from fleet.pipeline.inputs import Inputs, Step
from fleet.pipeline.platforms import MAX_ANNOTATIONS, Platform, say
from fleet.pipeline.report import (
    find_failures,
    plan_report,
    problem_report,
    rollout_report,
)
from fleet.responses import Json
from fleet.rollout_options import build_body
from fleet.service import Service, quoted, rollout_path
from fleet.session import FOLLOWING_PATIENCE_SECONDS, Session
from fleet.texts import event_line, plan_line, status_line

# Leaves annotations for what follows the plan; the summary has all warnings.
_MAX_PLAN_ANNOTATIONS = 3
# Of these, the worst devices are shown.
_FAILED_READ = 500
_TITLES = {
    ExitCode.REFUSED: "The rollout was refused",
    ExitCode.NOT_ENDED: "The rollout has not ended in time; it goes on",
    ExitCode.SIGN_IN: "The sign-in failed",
    ExitCode.PLAN_CHANGED: "The plan has changed; nothing was created",
    ExitCode.UNREACHABLE: "The service cannot be reached; a rollout that was created goes on",
}


@dataclass(frozen=True)
class Wanted:
    """The inputs, all read before the first step: a wrong one must leave nothing behind."""

    steps: list[Step]
    rollout_id: str | None
    body: Json  # of the plan and the create, without the hash of a plan
    plan_hash: str | None
    key: str | None
    timeout: int | None  # seconds; None: no limit
    patience: int | None  # seconds; None: the usual one
    stops_at_pause: bool
    has_comment: bool


def read_inputs(inputs: Inputs, platform: Platform) -> Wanted:
    """Return what the build wants. Raises UsageError."""
    steps = inputs.steps()
    has_body = steps != ["wait"]
    wanted = Wanted(
        steps=steps,
        rollout_id=inputs.text("rollout_id"),
        body=build_body(inputs.rollout()) if has_body else {},
        plan_hash=inputs.text("plan_hash"),
        key=inputs.text("idempotency_key") or platform.idempotency_key,
        timeout=_seconds(inputs.text("timeout")),
        patience=_seconds(inputs.text("patience")),
        stops_at_pause=inputs.flag("fail_on_pause", default=True),
        has_comment=inputs.flag("comment", default=False),
    )
    if "create" in steps and wanted.key is None:
        raise UsageError("This build has no id of its own: set idempotency-key.")
    if "wait" in steps and "create" not in steps and wanted.rollout_id is None:
        raise UsageError("Which rollout? wait needs the step create, or a rollout-id.")
    return wanted


class Build:
    """One run of the action or template."""

    def __init__(self, session: Session, inputs: Inputs, platform: Platform) -> None:
        self.session = session
        self.inputs = inputs
        self.platform = platform

    def run(self) -> ExitCode:
        """Run the steps until one does not succeed; return the exit code of the build."""
        try:
            wanted = read_inputs(self.inputs, self.platform)
            self.session.patience = wanted.patience
            return self._run(wanted)
        except CommandError as error:
            self._show_problem(error)
            return error.code

    def _run(self, wanted: Wanted) -> ExitCode:
        rollout_id, code = wanted.rollout_id, ExitCode.DONE
        for step in wanted.steps:
            self.platform.group(step.capitalize())
            if step == "plan":
                self._plan(wanted)
            elif step == "create":
                rollout_id = self._create(wanted)
            elif rollout_id is not None:
                code = self._wait(rollout_id, wanted)
        return code

    def _plan(self, wanted: Wanted) -> None:
        body = wanted.body
        service = self.session.service
        plan = service.send("POST", "/rollouts/plan", body, key=str(uuid.uuid4()))
        version = str((body.get("firmware") or {}).get("version", ""))
        say(plan_line(plan))
        for name in ("planHash", "devices", "expectedDuration"):
            self.platform.set_output(name, str(plan[name]))
        for warning in (plan.get("warnings") or [])[:_MAX_PLAN_ANNOTATIONS]:
            self.platform.annotate("warning", f"Plan: {warning['code']}", warning["message"])
        report = plan_report(plan, version)
        self.platform.add_summary(report + "\n")
        if wanted.has_comment:
            self._comment(report)

    def _comment(self, report: str) -> None:
        try:
            if not comment(report):
                say("no comment: this build is of no pull request")
        except CommentError as error:
            self.platform.annotate(
                "warning", "The plan could not be written as a comment", str(error)
            )

    def _create(self, wanted: Wanted) -> str:
        body = wanted.body | ({"planHash": wanted.plan_hash} if wanted.plan_hash else {})
        created = self.session.service.send("POST", "/rollouts", body, key=wanted.key)
        rollout_id = str(created["id"])
        say(f"rollout {rollout_id}: {created['firmware']['version']}")
        self.platform.set_output("rolloutId", rollout_id)
        return rollout_id

    def _wait(self, rollout_id: str, wanted: Wanted) -> ExitCode:
        limit = wanted.timeout
        deadline = None if limit is None else time.monotonic() + limit
        patience = FOLLOWING_PATIENCE_SECONDS
        service = self.session.connect(patience if limit is None else min(limit, patience))
        last, shown = None, None
        try:
            for change in follow(service, rollout_id, deadline):
                last = change.rollout
                for event in change.events:
                    say(event_line(event))
                if (line := status_line(last)) != shown:
                    say(line)
                shown = line
                if wanted.stops_at_pause and waits_for_a_person(last):
                    break
        except CommandError as error:
            if last is not None:
                is_there = not isinstance(error, UnreachableError)
                self._show_rollout(service, last, _failed(service, last) if is_there else [])
            raise
        assert last is not None  # noqa: S101 - following yields the rollout at least once
        self._show_rollout(service, last, _failed(service, last))
        return ExitCode.PAUSED if last["endedAt"] is None else exit_code_of(last)

    def _show_rollout(self, service: Service, rollout: Json, failed: list[Json]) -> None:
        failures = find_failures(rollout, failed)
        page = f"{service.api}/ui?rollout={quoted(rollout['id'])}"
        self.platform.add_summary(rollout_report(rollout, failures, page) + "\n")
        self.platform.set_output("status", rollout["status"])
        for name in ("completed", "failed"):
            self.platform.set_output(name, str(rollout["counts"][name]))
        if rollout["status"] == "completed":
            return
        reason = rollout.get("statusReason") or {}
        self.platform.annotate(
            "error",
            f"Rollout {rollout['status']}: {reason.get('code', 'not ended')}",
            status_line(rollout),
        )
        for item in failures.by_code[: MAX_ANNOTATIONS - 1]:
            message = f"{item['count']} failed, such as {item['example']}"
            self.platform.annotate("error", f"Failures: {item['code']}", message)

    def _show_problem(self, error: CommandError) -> None:
        key = self.session.options.key
        text = str(error).replace(key, "***") if key else str(error)
        title = (
            "The inputs cannot be used" if isinstance(error, UsageError) else _TITLES[error.code]
        )
        for line in text.splitlines():
            say(line)
        self.platform.annotate("error", title, text)
        self.platform.add_summary(problem_report(title, text))


def _seconds(text: str | None) -> int | None:
    return None if text is None else seconds_of(text)


def _failed(service: Service, rollout: Json) -> list[Json]:
    """Return failed devices of a rollout, as far as the service returns them."""
    if not rollout["counts"]["failed"]:
        return []
    pages = service.pages(
        rollout_path(rollout["id"], "/devices"), {"state": "failed", "limit": 100}
    )
    try:
        return list(islice(pages, _FAILED_READ))
    except CommandError:  # what is known of the rollout is shown without them
        return []
