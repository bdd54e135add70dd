"""The action's steps, run as a runner does: exit code, log, summary, annotations, outputs."""

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from fleet.pipeline.platforms import MAX_ANNOTATIONS
from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import KEY, Cloud
from tests.pipelines.conftest import ticking
from tests.pipelines.runner import Ran, Runner

FIRMWARE = {"version": "2.4.0", "package_uri": "https://packages.example/fw.bin"}
MAX_SECONDS_AFTER_PAUSE = 10


class Build:
    """A job with the action, for the devices of the cloud."""

    def __init__(self, runner: Runner, cloud: Cloud, address: str) -> None:
        self.runner = runner
        self.given = {
            "api": address, "key": KEY, "devices": "\n".join(cloud.world.hub.devices), **FIRMWARE
        }  # fmt: skip

    def run(self, **more: str) -> Ran:
        ran = self.runner.run(**{**self.given, **more})
        assert KEY not in ran.log + ran.summary + str(ran.outputs)
        assert "Traceback" not in ran.log
        assert len(ran.annotations) <= MAX_ANNOTATIONS
        assert len(ran.summary.encode()) < 2**20
        return ran


@pytest.fixture
def build(runner: Runner, cloud: Cloud, address: str) -> Build:
    return Build(runner, cloud, address)


def make_bad(cloud: Cloud, count: int) -> None:
    for device in list(cloud.world.hub.devices.values())[:count]:
        device.fault = Fault.FAILING


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def test_success(build: Build, cloud: Cloud) -> None:
    ticking(cloud)
    ran = build.run(waves="canary=1\nhalf=50%", labels="build=7=8")
    assert ran.code == 0, ran.log
    assert all(item.startswith("::warning title=Plan") for item in ran.annotations)
    assert "completed: 6 completed of 6 devices" in ran.log
    assert ran.outputs["status"] == "completed"
    assert (ran.outputs["devices"], ran.outputs["completed"], ran.outputs["failed"]) == (
        "6", "6", "0",
    )  # fmt: skip
    for part in ("## Plan of", "## Rollout of", "<code>canary</code>", ran.outputs["rollout-id"]):
        assert part in ran.summary
    created = json.loads(cloud.run("show", ran.outputs["rollout-id"], "--json").stdout)
    assert created["labels"] == {"build": "7=8"}


def test_the_summary_links_to_the_page_of_the_rollout(build: Build, cloud: Cloud) -> None:
    ticking(cloud)
    ran = build.run()
    opened = cloud.run("open", ran.outputs["rollout-id"]).stdout.strip()
    path = f"{urlsplit(opened).path}?{urlsplit(opened).query}"
    assert path == f"/api/ui?rollout={ran.outputs['rollout-id']}"
    assert f"{path})" in ran.summary


def test_a_run_again_follows_the_first_rollout(build: Build, cloud: Cloud) -> None:
    ticking(cloud)
    first, again = build.run(), build.run()
    assert (first.code, again.code) == (0, 0)
    assert first.outputs["rollout-id"] == again.outputs["rollout-id"]


def test_a_gate_that_pauses_fails_the_build_and_says_what_next(build: Build, cloud: Cloud) -> None:
    make_bad(cloud, 6)
    ticking(cloud, 1)
    ran = build.run(waves="canary=5", max_in_flight="2")
    assert ran.code == 5, ran.log
    assert ran.outputs["status"] == "paused"
    errors = [item for item in ran.annotations if "title=Plan" not in item]
    assert errors[0].startswith("::error title=Rollout paused%3A failureGate::")
    assert "reported" in errors[1]
    for part in ("### Failure gate", "### Failures", "`fleet resume`", "<code>reported</code>"):
        assert part in ran.summary
    failed = [item for item in cloud.world.hub.devices if f"<code>{item}</code>" in ran.summary]
    assert failed


def test_a_pause_ends_the_build_within_ten_seconds(build: Build, cloud: Cloud) -> None:
    process = build.runner.begin(**build.given, max_in_flight="1")
    assert process.stdout is not None
    head = ""
    while "rollout " not in head:
        head = process.stdout.readline()
        assert head, "the build ended before it created a rollout"
    rollout_id = head.split()[1].rstrip(":")
    time.sleep(1.5)  # the build waits in a request by now
    paused = cloud.run("pause", rollout_id, "--reason", "lunch")
    assert paused.exit_code == 0, paused.output
    began = time.monotonic()
    ran = build.runner.end(process)
    assert time.monotonic() - began < MAX_SECONDS_AFTER_PAUSE
    assert ran.code == 5
    assert "lunch" in ran.summary


def test_a_wave_that_waits_for_approval_ends_the_build(build: Build, cloud: Cloud) -> None:
    ticking(cloud)
    ran = build.run(waves="canary=2\nrest=4:approval")
    assert ran.code == 5, ran.log
    assert "fleet approve" in ran.summary
    cloud.run("approve", ran.outputs["rollout-id"])
    assert build.run(waves="canary=2\nrest=4:approval").code == 0


def test_a_refusal_is_shown_field_by_field(build: Build) -> None:
    ran = build.run(devices="d-000\nunknown-device")
    assert ran.code == 2
    (annotation,) = ran.annotations
    assert "unknown-device" in annotation
    assert "target" in ran.summary
    assert "rollout-id" not in ran.outputs


def test_a_plan_that_has_changed_creates_nothing(build: Build, cloud: Cloud) -> None:
    planned = build.run(steps="plan", devices="d-000")
    assert (planned.code, list(planned.outputs)) == (
        0, ["plan-hash", "devices", "expected-duration"],
    )  # fmt: skip
    ran = build.run(steps="create, wait", plan_hash=planned.outputs["plan-hash"])
    assert ran.code == 6
    assert "The plan has changed" in ran.annotations[0]
    assert "The plan has changed" in ran.summary
    assert json.loads(cloud.run("list", "--json").stdout)["value"] == []


def test_a_service_that_is_away_ends_with_7(build: Build, cloud: Cloud) -> None:
    cloud.between = lost
    ran = build.run(patience="1s")
    assert ran.code == 7
    assert "cannot be reached" in ran.annotations[0]
    assert "cannot be reached" in ran.summary


def test_a_service_that_goes_away_during_the_wait_leaves_what_is_known(
    build: Build, cloud: Cloud
) -> None:
    def lose_waits(request: httpx.Request) -> None:
        if "waitSeconds" in str(request.url):
            lost(request)

    cloud.between = lose_waits
    ran = build.run(patience="1s")
    assert ran.code == 7
    assert ran.outputs["status"] == "running"
    assert "## Rollout of" in ran.summary
    assert "it goes on" in ran.summary.lower() or "goes on" in ran.summary


def test_a_file_and_inputs_are_merged(build: Build, cloud: Cloud, tmp_path: Path) -> None:
    ticking(cloud)
    body = {"firmware": {"version": "2.5.0", "packageUri": "https://packages.example/5.bin"}}
    (tmp_path / "machine/rollout.json").write_text(json.dumps(body))
    ran = build.run(file="rollout.json", version="", package_uri="")
    assert ran.code == 0, ran.log
    assert "2.5.0" in ran.summary
    assert build.run(file="rollout.json", version="9.9.9").code == 2
