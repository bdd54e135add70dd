"""The commands that README shows by hand work as they stand, one after the other."""

import json
import re
import subprocess

from simulator.paths import REPOSITORY
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
# curl prints the body of a refusal and goes on; here a refusal ends the script.
STRICT = "set -euo pipefail\ncurl() { command curl --fail-with-body -w '\\n' \"$@\"; }\n"


def commands() -> str:
    """Return the shell commands of the section that begins with `make up`."""
    section = README.split("## By hand")[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


def test_the_commands_by_hand_work_in_their_order(api: Api, fleet: Fleet) -> None:
    fleet.start("thermostat-1", stage_seconds=1.5)
    host = f"http://{api.options.address}:{api.options.host_port}/api"
    script = STRICT + commands().replace("http://localhost:7071/api", host)
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bodies = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    device, paused, resumed, ended, events, plan, rollouts, history = bodies
    assert device["explanation"]
    assert [paused["status"], resumed["status"], ended["status"]] == [
        "paused", "running", "completed",
    ]  # fmt: skip
    assert [item["action"] for item in events["value"]][-1] == "completed"
    assert plan["devices"] >= 1
    assert rollouts["value"][0]["id"] == ended["id"] == history["value"][0]["rolloutId"]
