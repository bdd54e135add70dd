"""Plans and rollouts in Markdown, for the page of a build and for comments."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fleet.pipeline.escaping import code
from fleet.responses import Json
from fleet.texts import STATES, counts_line, duration_of, gate_lines, plural

MAX_ROWS = 100
MAX_WORST = 10
_WHAT_NEXT = {
    "paused": "No other device starts until an operator decides: `fleet resume`, `fleet rollback`"
    " or `fleet cancel`, then run this build again: it follows the same rollout.",
    "awaitingApproval": "The next wave waits: `fleet approve`, then run this build again: it"
    " follows the same rollout.",
}


@dataclass(frozen=True)
class Failures:
    """What failed: devices by error code, and the worst devices."""

    by_code: Sequence[Json]  # as `failures` of a rollout: code, count, example
    worst: Sequence[Json]  # device updates


def find_failures(rollout: Json, failed: Sequence[Json]) -> Failures:
    """Return the failures of a rollout, of which `failed` are some device updates.

    Devices that took the most attempts are the worst, and among these the first that failed. A
    service that does not group failures leaves those of `failed`.
    """
    ranked = sorted(failed, key=lambda item: (-(item["attempt"] or 0), item["endedAt"] or ""))
    grouped = rollout.get("failures")
    return Failures(_group(failed) if grouped is None else grouped, ranked[:MAX_WORST])


def plan_report(plan: Json, version: str) -> str:
    """Return a plan: devices, waves, warnings, and the hash that a create may hold it to."""
    about = "" if plan["exact"] else "about "
    duration, limit = duration_of(plan), code(plan["limitedBy"])
    lines = [
        f"## Plan of {code(version)}",
        "",
        f"{about}{plural(plan['devices'], 'device')}, {duration}, limited by {limit}.",
        "",
        *_table(
            ("wave", "devices", "opens"),
            (
                (code(wave["name"]), wave["size"], "after approval" if wave["approval"] else "")
                for wave in plan["waves"]
            ),
        ),
    ]
    warnings = plan.get("warnings") or []
    lines += [f"- ⚠️ {code(item['code'])} {code(item['message'])}" for item in warnings[:MAX_ROWS]]
    return "\n".join([*lines, "", f"Plan hash: {code(plan['planHash'])}", ""])


def rollout_report(rollout: Json, failures: Failures, page: str) -> str:
    """Return a rollout: status, waves, gate, failures by code, worst devices."""
    return "\n".join([*_head(rollout, page), *_waves(rollout), *_gate(rollout), *_failed(failures)])


def problem_report(title: str, message: str) -> str:
    """Return why a step did not do what it should, line by line."""
    lines = message.splitlines()
    return "\n".join([f"## {title}", "", *(f"{code(line)}<br>" for line in lines[:MAX_ROWS]), ""])


def _head(rollout: Json, page: str) -> Iterator[str]:
    status, reason = rollout["status"], rollout.get("statusReason") or {}
    yield f"## Rollout of {code(rollout['firmware']['version'])}: {status}"
    yield ""
    yield f"{counts_line(rollout['counts'])}. [Rollout {code(rollout['id'])}]({page})"
    if reason and status != "completed":
        yield f"\n{code(reason['code'])} {code(reason['message'], 2_000)}"
    if advice := _WHAT_NEXT.get(reason.get("code", "")) or _WHAT_NEXT.get(status):
        yield f"\n{advice}"
    yield ""


def _waves(rollout: Json) -> Iterator[str]:
    rows = (
        (code(wave["name"]), wave["size"], wave["status"], *(wave["counts"][s] for s in STATES))
        for wave in rollout["waves"]
    )
    yield from _table(("wave", "devices", "status", *STATES), rows)


def _gate(rollout: Json) -> Iterator[str]:
    """Yield the gate's rates, and its distance in the open waves; a breach is in the head."""
    gate = rollout["strategy"]["failureGate"]
    yield "### Failure gate\n"
    yield (
        f"Acceptable: {code(gate['acceptable'])}, unacceptable: {code(gate['unacceptable'])},"
        f" on a breach: {code(gate['onBreach'])}.\n"
    )
    yield from (f"- {code(line)}" for line in gate_lines(rollout)[:MAX_ROWS])
    yield ""


def _failed(failures: Failures) -> Iterator[str]:
    if not failures.by_code:
        return
    yield "### Failures\n"
    rows = (
        (code(item["code"]), item["count"], code(item["example"] or ""))
        for item in failures.by_code
    )
    yield from _table(("error code", "devices", "such as"), rows)
    worst = (
        (code(item["deviceId"]), code(item["wave"]), item["attempt"], *_error(item))
        for item in failures.worst
    )
    yield from _table(("device", "wave", "attempts", "error code", "message"), worst)


def _error(update: Json) -> tuple[str, str]:
    error = update.get("error") or {"code": "", "message": ""}
    return code(error["code"]), code(error["message"])


def _group(failed: Iterable[Json]) -> list[Json]:
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for item in failed:
        found = (item.get("error") or {}).get("code", "")
        counts[found] += 1
        examples.setdefault(found, item["deviceId"])
    return [
        {"code": name, "count": count, "example": examples[name]}
        for name, count in counts.most_common()
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    """Yield the lines of a table, at most MAX_ROWS rows."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for number, row in enumerate(rows):
        if number == MAX_ROWS:
            yield "| … |" + " |" * (len(head) - 1)
            break
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""
