"""Run `fleet` as a process of its own, against the whole local cloud."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from simulator.paths import REPOSITORY
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet

SECONDS = 60
VERSION = ("--version", "2.4.0", "--package-uri", "https://packages.example/fw.bin")
KILLS = 3


def start(api: Api, *arguments: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "FLEET_API": api.options.api_url, "CI": "true"}
    return subprocess.Popen(
        [sys.executable, "-m", "fleet", *arguments],
        cwd=REPOSITORY,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(api: Api, *arguments: str) -> tuple[int, str]:
    with start(api, *arguments) as process:
        printed, errors = process.communicate(timeout=SECONDS)
    return process.returncode, printed + errors


def kill_after_first_line(process: subprocess.Popen[str]) -> str:
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    return line


def trail_of(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith("20")]


def test_a_wait_that_is_killed_and_started_again_tells_the_whole_story(
    api: Api, fleet: Fleet
) -> None:
    fleet.start("fleet-1", stage_seconds=1)
    code, printed = run(api, "create", *VERSION, "--device", "fleet-1")
    assert code == 0, printed
    rollout_id = printed.split()[1].rstrip(":")
    first = [kill_after_first_line(start(api, "wait", rollout_id)) for _ in range(KILLS)]
    code, waited = run(api, "wait", rollout_id)
    assert code == 0, waited
    assert waited.splitlines()[-1] == "completed: 1 completed of 1 device"
    assert set(first) == {waited.splitlines(keepends=True)[0]}
    _, events = run(api, "events", rollout_id)
    assert trail_of(waited.splitlines()) == events.splitlines()


def test_a_pause_ends_the_wait_of_a_build_and_a_refusal_says_why(api: Api, fleet: Fleet) -> None:
    fleet.register("fleet-2")
    code, printed = run(api, "create", *VERSION, "--device", "fleet-2")
    assert code == 0, printed
    rollout_id = printed.split()[1].rstrip(":")
    waiting = start(api, "wait", rollout_id)
    assert run(api, "pause", rollout_id, "--reason", "lunch")[0] == 0
    printed, _ = waiting.communicate(timeout=SECONDS)
    assert waiting.returncode == 5
    assert "lunch" in printed
    assert run(api, "cancel", rollout_id)[0] == 0
    assert run(api, "wait", rollout_id)[0] == 1
    code, printed = run(api, "create", *VERSION, "--device", "unregistered")
    assert code == 2
    assert "/target/deviceIds/0" in printed
