"""The commands that README shows work as they stand, one after the other."""

import json
import re
import subprocess

from simulator.paths import REPOSITORY
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
# curl prints the body of a refusal and goes on; here a refusal ends the script.
STRICT = "set -euo pipefail\ncurl() { command curl --fail-with-body -w '\\n' \"$@\"; }\n"
RUN_HERE = ("By hand", "The command `fleet`")
RUN_ELSEWHERE = {
    "See it run": "tests/simulator/cloud/test_demo.py, tests/test_setup.py, tests/docs",
    "With Core Tools": "not part of the tests, as README says",
}


def shell_blocks() -> dict[str, str]:
    """Return the shell commands of README by the title of their section."""
    sections = (text.partition("\n") for text in README.split("\n## ")[1:])
    blocks = {title: re.findall(r"```sh\n(.*?)```", body, re.DOTALL) for title, _, body in sections}
    return {title: "".join(found) for title, found in blocks.items() if found}


def test_every_command_is_run_by_a_test() -> None:
    assert shell_blocks().keys() == {*RUN_HERE, *RUN_ELSEWHERE}


def test_the_commands_by_hand_and_those_of_fleet_work_in_their_order(
    api: Api, fleet: Fleet
) -> None:
    fleet.start("thermostat-1", stage_seconds=1.5)
    host = f"http://{api.options.address}:{api.options.host_port}/api"
    script = STRICT + "".join(shell_blocks()[title] for title in RUN_HERE)
    done = subprocess.run(
        ["bash", "-c", script.replace("http://localhost:7071/api", host)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    bodies = [json.loads(line) for line in printed if line.startswith("{")]
    device, paused, resumed, ended, events, plan, rollouts, history = bodies
    assert device["explanation"]
    assert [paused["status"], resumed["status"], ended["status"]] == [
        "paused", "running", "completed",
    ]  # fmt: skip
    assert [item["action"] for item in events["value"]][-1] == "completed"
    assert plan["devices"] >= 1
    assert rollouts["value"][0]["id"] == ended["id"] == history["value"][0]["rolloutId"]
    by_fleet = [line for line in printed if not line.startswith("{")]
    assert "completed: 1 completed of 1 device" in by_fleet
    assert any(line.startswith("thermostat-1  all  completed") for line in by_fleet)
