"""Run each command against the API, and check what it prints and changes."""

import json
from pathlib import Path

import pytest

from fleet import sign_in
from fleet.app import COMMANDS
from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import KEY, VERSION, Cloud, advancing, lines


def fail(cloud: Cloud, *names: str) -> None:
    for name in names or tuple(cloud.world.hub.devices):
        cloud.world.hub.devices[name].fault = Fault.FAILING


def test_a_rollout_from_plan_to_its_end(cloud: Cloud) -> None:
    wanted = [*VERSION, "--device", "d-000", "--device", "d-001", "--wave", "canary=50%"]
    planned = cloud.run("plan", *wanted)
    assert "canary: 1" in planned.stdout
    plan_hash = planned.stdout.split()[-1]
    cloud.between = advancing(cloud)
    created = cloud.run("create", *wanted, "--plan-hash", plan_hash, "--wait")
    assert created.exit_code == 0, created.output
    assert lines(created)[-1] == "completed: 2 completed of 2 devices"


def test_reads_show_the_same_rollout(cloud: Cloud) -> None:
    fail(cloud, "d-003")
    rollout_id = cloud.create("--label", "build=7", "--success-share", "50%")
    cloud.world.until_over(rollout_id)
    assert rollout_id in cloud.run("list").stdout
    assert "all" in cloud.run("show", rollout_id).stdout
    assert len(lines(cloud.run("devices", rollout_id))) == 6
    failed = cloud.run("devices", rollout_id, "--error-code", "reported", "--wave", "all")
    assert lines(failed) == lines(cloud.run("devices", rollout_id, "--state", "failed"))
    assert failed.stdout.startswith("d-003  all  failed  reported: The device reported")
    unknown = cloud.run("devices", rollout_id, "--wave", "canary")
    assert (unknown.exit_code, "Its waves: all." in unknown.stderr) == (2, True)
    assert "created by api" in cloud.run("events", rollout_id).stdout
    assert "simulated failure" in cloud.run("why", "d-003").stdout
    assert (
        cloud.run("why", "d-003", "--rollout", rollout_id).stdout
        == cloud.run("why", "d-003").stdout
    )
    assert rollout_id in cloud.run("device", "d-003").stdout
    address = f"https://fleet.example/api/ui?rollout={rollout_id}"
    assert cloud.run("open", rollout_id).stdout == f"{address}\n"


def test_json_is_one_object_and_jsonl_an_object_a_line(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    shown = json.loads(cloud.run("show", rollout_id, "--json").stdout)
    assert (shown["id"], shown["status"]) == (rollout_id, "running")
    assert len(json.loads(cloud.run("devices", rollout_id, "--json").stdout)["value"]) == 6
    each = [json.loads(line) for line in lines(cloud.run("devices", rollout_id, "--jsonl"))]
    assert [item["deviceId"] for item in each] == [f"d-{n:03}" for n in range(6)] or len(each) == 6
    for name in ("list", "frozen"):
        json.loads(cloud.run(name, "--json").stdout)
    refused = cloud.run("list", "--json", "--jsonl")
    assert refused.exit_code == 2


def test_the_steps_of_an_operator(cloud: Cloud) -> None:
    rollout_id = cloud.create("--max-in-flight", "1")
    assert "is paused" in cloud.run("pause", rollout_id, "--reason", "lunch", "--by", "ada").stdout
    assert "Paused by ada: lunch" in cloud.run("show", rollout_id).stdout
    assert "is running" in cloud.run("resume", rollout_id).stdout
    assert cloud.run("approve", rollout_id).exit_code == 2
    assert "is cancelled" in cloud.run("cancel", rollout_id).stdout
    cloud.world.until_over(rollout_id)
    retried = cloud.run("retry", rollout_id, "--state", "cancelled")
    assert retried.exit_code in {0, 2}, retried.output
    assert cloud.run("rollback", rollout_id).exit_code in {0, 2}


def test_a_wave_is_approved(cloud: Cloud) -> None:
    rollout_id = cloud.create("--wave", "canary=1", "--wave", "rest=5:approval")
    cloud.world.ticks(12)
    assert cloud.run("wait", rollout_id, "--fail-on-pause").exit_code == 5
    assert cloud.run("approve", rollout_id, "--by", "ada").exit_code == 0
    cloud.between = advancing(cloud)
    assert cloud.run("wait", rollout_id, "--fail-on-pause").exit_code == 0


def test_a_completed_rollout_is_rolled_back(cloud: Cloud) -> None:
    first = cloud.create()
    cloud.world.until_over(first)
    second = cloud.run("create", "--version", "2.5.0", *VERSION[2:], "--device", "d-000")
    rollout_id = second.stdout.split()[1].rstrip(":")
    cloud.world.until_over(rollout_id)
    rolled_back = json.loads(cloud.run("rollback", rollout_id, "--json").stdout)
    assert rolled_back["rollbackOf"] == rollout_id


def test_starts_are_frozen_and_unfrozen(cloud: Cloud) -> None:
    assert cloud.run("frozen").stdout == "Starts are not frozen.\n"
    assert "incident 47" in cloud.run("freeze", "incident 47", "--by", "ada").stdout
    assert "frozen" in cloud.run("show", cloud.create()).stdout
    removed = cloud.run("unfreeze", "--reason", "solved", "--json")
    assert json.loads(removed.stdout)["endedReason"] == "solved"
    assert cloud.run("unfreeze").exit_code == 2
    assert cloud.run("release", "d-000").exit_code == 2


def test_profiles_keep_a_key_for_its_owner_alone(cloud: Cloud, tmp_path: Path) -> None:
    assert cloud.run("profile", "save", "--name", "prod").exit_code == 0
    file = tmp_path / "fleet" / "profiles.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert cloud.run("profile").stdout == "prod  https://fleet.example/api  key\n"
    alone = {"FLEET_API": "", "FLEET_KEY": ""}
    assert cloud.run("list", "--profile", "prod", **alone).exit_code == 0
    assert cloud.run("list", **alone).exit_code == 2
    file.chmod(0o644)
    assert "chmod 600" in cloud.run("list", "--profile", "prod", **alone).stderr
    file.chmod(0o600)
    assert cloud.run("profile", "remove", "--name", "prod").exit_code == 0
    assert cloud.run("list", "--profile", "prod", **alone).exit_code == 2


def test_the_key_of_a_profile_goes_to_its_own_api_alone(cloud: Cloud) -> None:
    cloud.run("profile", "save")
    other = cloud.run("list", FLEET_API="https://other.example/api", FLEET_KEY="")
    assert other.exit_code == 4
    assert "x-functions-key" not in cloud.requests[-1].headers


def test_a_token_is_sent_beside_the_key(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "entra_token", lambda scope: f"token-of-{scope}")
    assert cloud.run("list", "--scope", "api://fleet/.default").exit_code == 0
    headers = cloud.requests[-1].headers
    assert headers["Authorization"] == "Bearer token-of-api://fleet/.default"
    assert headers["x-functions-key"] == KEY
    assert cloud.run("list", "--scope", "api://fleet/.default", FLEET_KEY="").exit_code == 4
    assert "x-functions-key" not in cloud.requests[-1].headers


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does(cloud: Cloud, name: str) -> None:
    shown = cloud.run(name, "--help")
    assert shown.exit_code == 0
    assert f"Usage: fleet {name}" in shown.stdout or f"{name} [OPTIONS]" in shown.stdout


def test_the_help_shortens_no_sentence_and_names_values_plainly(cloud: Cloud) -> None:
    commands = cloud.run("--help").stdout
    assert "..." not in commands.partition("Commands:")[2]
    assert "  --label TEXT" in cloud.run("create", "--help").stdout
    assert "  ROLLOUT  a rollout's id" in cloud.run("show", "--help").stdout
    assert "<str>" not in "".join(cloud.run(name, "--help").stdout for name in COMMANDS)


def test_help_shows_the_variable_of_the_key_and_not_the_key(cloud: Cloud) -> None:
    assert "FLEET_KEY" in cloud.run("list", "--help").stdout
    assert KEY not in cloud.run("list", "--help").stdout


def test_firmware_is_registered_shown_and_rolled_out_by_its_version(
    cloud: Cloud, tmp_path: Path
) -> None:
    package = tmp_path / "fw.bin"
    package.write_bytes(b"firmware")
    known = ("--package", str(package), "--package-uri", "https://packages.example/1.bin")
    more = ("--reported-as", "1.0", "--notes", "From the factory.", "--by", "ada")
    made = cloud.run("firmware", "set", "1.0.0", *known, *more)
    assert made.exit_code == 0, made.output
    shown = cloud.run("firmware", "show", "1.0.0").stdout
    assert shown == made.stdout
    assert lines(made)[0] == "1.0.0: registered, not used yet"
    assert "8 bytes, no manifest" in shown
    assert "by ada" in shown
    assert shown.endswith("reported as 1.0\n  From the factory.\n")
    assert cloud.run("create", "--version", "1.0.0", "--device", "d-000").exit_code == 0
    (listed,) = lines(cloud.run("firmware"))
    assert listed.startswith("1.0.0  sha256 ")
    assert listed.endswith("registered, used by a rollout  From the factory.")
    assert json.loads(cloud.run("firmware", "--json").stdout)["value"][0]["version"] == "1.0.0"
    refused = cloud.run("firmware", "set", "1.0.0", *known[2:], "--sha256", "b" * 64)
    assert refused.exit_code == 2
    assert "use another version for another package" in refused.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("delete",),
        ("show",),
        ("list", "1.0.0"),
        ("set", "1.0.0"),
        ("show", "1.0.0", "--notes", "a"),
        ("set", "1.0.0", "--package-uri", "https://x.example/1", "--package", "/nowhere"),
    ],
)
def test_wrong_usage_of_firmware_sends_nothing(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    assert cloud.run("firmware", *arguments).exit_code == 2
    assert not cloud.requests


def test_a_version_that_the_catalogue_does_not_have_is_not_found(cloud: Cloud) -> None:
    shown = cloud.run("firmware", "show", "9.9.9")
    assert shown.exit_code == 2
    assert "Register it with fleet firmware set or PUT" in shown.stderr
