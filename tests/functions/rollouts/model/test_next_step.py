"""Each reason of a status says what to do next, with commands that exist."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from fleet.app import app
from functions.rollouts.model import next_step
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.outage import AMBIENT, Outage
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.shown_reason import shown_reason
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.model.wave import Counts
from tests.functions.builders import at, make_rollout, make_wave, with_counts

DOCS = Path(__file__).parents[4] / "docs" / "api.md"
PAUSED, RUNNING = RolloutStatus.PAUSED, RolloutStatus.RUNNING


def make(status: RolloutStatus, code: str, **counts: int) -> Rollout:
    size = sum(counts.values())
    wave = with_counts(make_wave(size), Counts(**counts))
    reason = Reason(code=code, message="Because.")
    return replace(make_rollout(wave), status=status, status_reason=reason)


def step(status: RolloutStatus, code: str, **counts: int) -> str:
    found = shown_reason(make(status, code, **counts))
    assert found is not None
    assert found.code == code
    return found.message.removeprefix("Because.").strip()


def documented_codes() -> list[str]:
    """Return the codes that the documentation of the API lists."""
    text = DOCS.read_text(encoding="utf-8")
    table = text.partition("`statusReason.code` says")[2].partition("\n\nThe `message`")[0]
    first_cells = re.findall(r"(?m)^\| (`.*?) \|", table)
    found = [code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)]
    assert "failureGate" in found
    return found


def all_steps() -> Iterator[str]:
    for status in RolloutStatus:
        for code in documented_codes():
            yield step(status, code, failed=1, completed=1, queued=1)


@pytest.mark.parametrize("code", documented_codes())
def test_each_documented_code_has_a_next_step(code: str) -> None:
    assert any(step(status, code, failed=1, completed=1, queued=1) for status in RolloutStatus)


@pytest.mark.parametrize("code", ["stratumFrozen", "awaitingApproval"])
def test_an_outage_is_told_beside_a_reason_that_needs_a_person(code: str) -> None:
    outage = Outage(code=AMBIENT, message="9 of 9 are offline.", since=at(0))
    rollout = replace(make(RUNNING, code, queued=1), outages=(outage,))
    found = shown_reason(rollout)
    assert found is not None
    assert (found.code, found.message[:28]) == (code, "Because. 9 of 9 are offline.")
    over = shown_reason(replace(rollout, outages=(replace(outage, until=at(1)),)))
    assert over is not None
    assert "offline" not in over.message


@pytest.mark.parametrize(
    ("status", "code"), [(RUNNING, "window"), (PAUSED, "stratumFrozen"), (PAUSED, "paused")]
)
def test_an_outage_is_not_told_beside_what_it_does_not_hide(
    status: RolloutStatus, code: str
) -> None:
    outage = Outage(code=AMBIENT, message="9 of 9 are offline.", since=at(0))
    found = shown_reason(replace(make(status, code, queued=1), outages=(outage,)))
    assert found is not None
    assert "offline." not in found.message


def test_a_rollout_that_has_not_started_says_what_it_waits_for() -> None:
    def told(**values: Any) -> str:
        found = shown_reason(make_rollout(status=RolloutStatus.SCHEDULED, **values))
        assert found is not None
        assert found.code == ("frozen" if "freeze" in values else "scheduled")
        return found.message

    assert told().startswith("The rollout starts at the next tick. Next: nothing")
    assert told(start_at=at(60)).startswith("The rollout starts at 2026-11-23T12:01:00Z.")
    prepared = told(resolution=TargetResolution(), start_at=at(60))
    assert prepared.startswith("The rollout's devices are still being prepared.")
    freeze = Freeze(revision=1, reason="incident", by="ada", since=at(0))
    assert "The rollout starts at 2026-11-23T12:01:00Z." in told(freeze=freeze, start_at=at(60))


def test_the_commands_and_options_of_the_next_steps_exist() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    named = 0
    for text in all_steps():
        for part in re.split(r"(?=\bfleet [a-z])", text)[1:]:
            name = part.split()[1].rstrip(",")
            options = {option for item in known[name].params for option in item.opts}
            clause = re.split(r"[,;.] |\. Then", part)[0]
            assert set(re.findall(r"--[a-z-]+", clause)) <= options, part
            named += 1
    assert named > len(documented_codes())


def test_a_pause_always_names_a_way_on() -> None:
    for code in [*documented_codes(), "a code of a later release"]:
        assert "fleet " in step(PAUSED, code, queued=1)


@pytest.mark.parametrize("code", ["failureGate", "successShare", "tooLittleEvidence", "notStarted"])
def test_a_pause_whose_devices_were_retried_or_completed_late_lists_no_failed_ones(
    code: str,
) -> None:
    told = step(PAUSED, code, queued=1, completed=1)
    assert told.startswith("Next: no device is failed any more; fleet resume")
    assert step(PAUSED, code, queued=1, failed=1).startswith("Next: fleet devices")


def test_too_little_evidence_of_skipped_devices_names_these() -> None:
    assert "--state skipped" in step(PAUSED, "tooLittleEvidence", queued=1, skipped=1)


@pytest.mark.parametrize(("running", "names_skipped"), [(1, True), (2, False)])
def test_too_little_evidence_names_skipped_devices_only_if_a_retry_would_queue_them(
    running: int, names_skipped: bool
) -> None:
    rollout = make(PAUSED, "tooLittleEvidence", queued=1, skipped=2, failed=1)
    wave = replace(rollout.waves[0], already_running=running)
    found = shown_reason(replace(rollout, waves=(wave,)))
    assert found is not None
    assert ("--state skipped" in found.message) is names_skipped


def test_a_running_rollout_that_waits_for_nothing_known_has_no_next_step() -> None:
    assert step(RUNNING, "a code of a later release", queued=1) == ""
    assert step(RolloutStatus.SCHEDULED, "scheduled").endswith("it goes on by itself.")


def test_a_rollout_that_waits_goes_on_by_itself() -> None:
    for code in ("hubUnavailable", "ambientOutage", "dailyQuota"):
        assert step(RUNNING, code, queued=1).startswith("Next: nothing, it goes on by itself.")
    assert "fleet approve" in step(RUNNING, "awaitingApproval", queued=1)


def test_the_end_without_failures_needs_nothing() -> None:
    assert step(RolloutStatus.COMPLETED, "completed", completed=2) == ""
    assert "fleet retry" in step(RolloutStatus.COMPLETED, "completed", completed=2, failed=1)


def test_a_failed_rollout_says_what_failed() -> None:
    failed = RolloutStatus.FAILED
    for code in ("successShare", "failureGate", "a code of a later release"):
        told = step(failed, code, failed=1, completed=1)
        assert "--state failed shows why; fleet retry" in told
    assert step(failed, "target") == "Next: correct the target, and fleet create again."
    assert "--state skipped" in step(failed, "tooLittleEvidence", skipped=1)


def test_a_cancelled_rollout_is_continued_or_undone() -> None:
    cancelled = RolloutStatus.CANCELLED
    assert "--state cancelled" in step(cancelled, "cancelled", cancelled=1)
    assert "fleet rollback" in step(cancelled, "failureGate", failed=1, completed=1)
    assert step(cancelled, "cancelled", completed=1) == ""
    assert step(cancelled, "cancelled", failed=1) == ""
    for state in ("queued", "updating", "soaking"):
        told = step(cancelled, "cancelled", completed=1, failed=1, **{state: 1})
        assert told == "Next: nothing, devices under way are followed to their end."


def test_a_rollback_is_what_comes_next() -> None:
    paused = make(RolloutStatus.CANCELLED, "failureGate", failed=1, completed=1)
    due = shown_reason(replace(paused, rollback=RollbackDue()))
    undone = shown_reason(replace(paused, rollback=RolledBack("r-2")))
    assert due is not None
    assert "begins once devices under way have ended" in due.message
    assert undone is not None
    assert undone.message.endswith("fleet watch r-2 follows its rollback.")


def test_a_frozen_rollout_names_the_end_of_the_freeze() -> None:
    freeze = Freeze(revision=1, reason="incident", by="ada", since=at(0))
    found = shown_reason(replace(make_rollout(make_wave(1)), freeze=freeze))
    assert found is not None
    assert found.message.endswith("Reason: incident. Next: fleet unfreeze lets all rollouts go on.")


def test_a_message_without_a_full_stop_gets_one() -> None:
    rollout = make(PAUSED, "paused", queued=1)
    paused = replace(rollout, status_reason=Reason(code="paused", message="by ada: lunch"))
    found = shown_reason(paused)
    assert found is not None
    assert found.message.startswith("by ada: lunch. Next: ")
    assert found.message.endswith(next_step.next_step(paused, "paused") or "missing")
