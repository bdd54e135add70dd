"""A rollout, a device update and an event in plain lines."""

import re

from fleet.durations import describe, seconds_of
from fleet.responses import Json

STATES = ("completed", "failed", "updating", "queued", "cancelled", "skipped")


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counts_line(counts: Json) -> str:
    """Return the counts that are not zero: `18 completed, 2 failed of 100 devices`."""
    parts = ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state))
    return f"{parts or 'none yet'} of {plural(counts['total'], 'device')}"


def status_line(rollout: Json) -> str:
    """Return status, counts and reason in one line."""
    reason = rollout.get("statusReason")
    line = f"{rollout['status']}: {counts_line(rollout['counts'])}"
    if not reason or reason["code"] == "completed":
        return line
    return f"{line}. {reason['message']}"


def event_line(event: Json) -> str:
    return f"{time_of(event['at'])} {event['action']} by {event['by']}: {event['message']}"


def plan_line(plan: Json) -> str:
    """Return devices, duration and limit of a plan in one line."""
    about = "" if plan["exact"] else "about "
    devices = plural(plan["devices"], "device")
    return f"{about}{devices}, {duration_of(plan)}, limited by {plan['limitedBy']}"


def duration_of(plan: Json) -> str:
    """Return the expected duration of a plan as people write it."""
    return describe(seconds_of(re.sub(r"\.\d+S$", "S", plan["expectedDuration"])))


def time_of(text: str | None) -> str:
    """Return a time of the API without fractions of a second."""
    return "-" if text is None else text.partition(".")[0].rstrip("Z") + "Z"


def device_line(update: Json) -> str:
    """Return a device update in one line, with its error or progress."""
    error = update.get("error")
    said = f"{error['code']}: {error['message']}" if error else update.get("skipReason") or ""
    if not said and update.get("progressPercent") is not None:
        said = f"{update['progressPercent']}%"
    state = update["state"]
    return f"{update['deviceId']}  {update['wave']}  {state}  {said}".rstrip()


def gate_lines(rollout: Json) -> list[str]:
    """Return how far each gate of a rollout is from its decisions."""
    lines = []
    for gate in rollout.get("gate") or []:
        more = gate.get("failuresToBreach")
        name = gate.get("wave") or gate.get("stratum")
        if more is None:
            distance = ""
        elif more == 0:
            distance = "; it is breached"
        else:
            distance = f"; {plural(more, 'more failure')} in a row breach it"
        healthy = gate.get("healthyToAcceptable")
        good = "" if not healthy or more == 0 else f"; {healthy} more healthy show it is good"
        since = gate.get("countedSince")
        counted = f" since the resume at {time_of(since)}" if since else ""
        lines.append(
            f"gate {name}{counted}: {gate['failed']} failed, {gate['healthy']} healthy"
            f"{distance}{good}"
        )
    return lines


def failure_lines(rollout: Json) -> list[str]:
    """Return failures grouped by code, if the service groups them."""
    return [
        f"{item['code']}: {plural(item['count'], 'device')}"
        + (f", such as {item['example']}" if item.get("example") else "")
        for item in rollout.get("failures") or []
    ]
