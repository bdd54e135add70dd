"""Rehearsals in the documents end as the documents say."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.paths import REPOSITORY
from tests.docs import state_diagrams

TEXT = (REPOSITORY / "docs/choosing-waves-and-gates.md").read_text()
RUNNER = CliRunner()
COMMANDS = re.findall(r"^python (-m simulator rehearse .*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_rehearsal_ends_as_the_document_says(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    ended = RUNNER.invoke(app, [*shlex.split(command)[2:], "--json"])
    assert ended.exit_code == 0, ended.stderr
    outcome = json.loads(ended.stdout)
    assert SENTENCES[_name(command)](outcome) in " ".join(TEXT.split())


def _name(command: str) -> str:
    words = command.split()
    return f"{words[3].rpartition('/')[2]} {' '.join(words[6:-2])}"


def _time(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _failed(outcome: Any) -> str:
    """Return "2 of its first 6 devices" from the reason of a breach."""
    found = re.search(r"\d+ of its first \d+ devices", outcome["statusReason"]["message"])
    assert found is not None
    return found[0]


# The sentence of the document about each outcome, made from the outcome.
SENTENCES: dict[str, Callable[[Any], str]] = {
    "canary.json --fail 100%": lambda o: (
        f"{o['started']} devices were started and failed, {o['counts']['queued']:,} were never"
    ),
    "two-canaries.json --fail 100%": lambda o: f"{o['started']} devices were started.",
    "hang.json --hang 20%": lambda o: (
        f"Stopped after {_time(o['seconds'])}, with {o['started']} of 1,000 devices started."
    ),
    "canary.json --fail 5% --seed 3": lambda o: (
        f"{_failed(o)} had failed, and {o['started']} had been started"
    ),
    "all-at-once.json --fail 5% --seed 3": lambda o: (
        f"only after {o['started']:,} devices had been started"
    ),
    "canary.json --fail 1% --fail-after 30s..90s --update-takes 6m..14m --seed 3": lambda o: (
        f"{o['counts']['completed']:,} of 10,000 devices completed, {o['counts']['failed']} failed,"
    ),
    "canary.json --fail 5% --fail-after 30s..90s --update-takes 6m..14m --seed 3": lambda o: (
        f"{_failed(o)} had failed, and {o['started']} had been started"
    ),
    "sites.json --stratum berlin:20%:fail=25% --stratum paris --fail-after 30s..90s"
    " --seed 3": lambda o: (
        f"Berlin is frozen after {o['strata'][0]['started']} devices,"
        f" {o['strata'][0]['counts']['failed']} of them failed; all"
        f" {o['strata'][1]['counts']['completed']:,} others completed."
    ),
    "no-soak.json --revert 20% --seed 7": lambda o: f'all {o["counts"]["completed"]:,} "completed"',
    "soak.json --revert 20% --seed 7": lambda o: (
        f"{o['counts']['failed']} of them `failed` as `reverted`,"
        f" {o['counts']['queued']:,} never started"
    ),
    "three-waves.json --fail 0.5% --offline 10% --seed 7": lambda o: (
        f"{o['counts']['completed']:,} of 5,000 devices completed, {o['counts']['failed']} failed,"
        f" in {_time(o['seconds'])}"
    ),
    "all-at-once.json --tier S1": lambda o: f"{_time(o['seconds'])} on one unit of S1",
    "all-at-once.json --tier S3": lambda o: f"{_time(o['seconds'])} on one of S3",
}


def test_the_state_diagrams_match_the_code() -> None:
    text = (REPOSITORY / "docs/how-it-works.md").read_text()
    assert state_diagrams.device_update_diagram() in text
    assert state_diagrams.rollout_diagram() in text
