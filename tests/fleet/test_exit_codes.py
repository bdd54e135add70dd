"""Check each exit code, and that no error shows the key."""

import json
from pathlib import Path

import httpx
import pytest

from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import KEY, VERSION, Cloud, advancing, lines

ONE = (*VERSION, "--device", "d-000")


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def test_0_a_completed_rollout(cloud: Cloud) -> None:
    cloud.between = advancing(cloud)
    assert cloud.run("create", *ONE, "--wait").exit_code == 0


def test_1_a_failed_or_cancelled_rollout(cloud: Cloud) -> None:
    cloud.world.hub.devices["d-000"].fault = Fault.FAILING
    cloud.between = advancing(cloud)
    assert cloud.run("create", *ONE, "--wait").exit_code == 1
    rollout_id = cloud.create()
    cloud.run("cancel", rollout_id)
    assert cloud.run("wait", rollout_id).exit_code == 1
    assert cloud.run("watch", rollout_id).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--version", "1"),
        ("create", *ONE, "--device", "ghost"),
        ("create", *ONE, "--soak", "a while"),
        ("create", *ONE, "--wave", "canary"),
        ("create", *ONE, "--condition", "tags.a = 1"),
        ("show", "unknown"),
        ("why", "ghost"),
        ("no-such-command",),
        ("show",),
        ("list", "--status", "asleep"),
        ("list", "--api", "ftp://fleet.example"),
        ("list", "--api", "http://fleet.example/api"),
        ("list", "--api", f"https://fleet.example/api?code={KEY}"),
        ("list", "--api", f"https://ada:{KEY}@fleet.example/api"),
        ("list", "--key", f"{KEY}\x00\n"),
        ("export", "unknown"),
    ],
)
def test_2_a_refused_request_and_wrong_usage(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    result = cloud.run(*arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert KEY not in result.output


def test_3_not_ended_in_time(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    assert cloud.run("wait", rollout_id, "--timeout", "1s").exit_code == 3


def test_4_no_key_or_a_wrong_one(cloud: Cloud) -> None:
    assert cloud.run("list", FLEET_KEY="").exit_code == 4
    assert cloud.run("list", "--key", "another").exit_code == 4


@pytest.mark.parametrize("variables", [{"CI": "true"}, {}])
def test_5_a_pause_ends_the_wait_in_ci(cloud: Cloud, variables: dict[str, str]) -> None:
    rollout_id = cloud.create("--max-in-flight", "1")
    cloud.run("pause", rollout_id)
    waited = cloud.run("wait", rollout_id, "--timeout", "1s", **variables)
    assert waited.exit_code == (5 if variables else 3)
    assert cloud.run("wait", rollout_id, "--fail-on-pause").exit_code == 5


def test_6_another_plan(cloud: Cloud) -> None:
    plan_hash = json.loads(cloud.run("plan", *ONE, "--json").stdout)["planHash"]
    other = cloud.run("create", *ONE, "--device", "d-001", "--plan-hash", plan_hash)
    assert other.exit_code == 6
    assert "Request the plan again" in other.stderr


def test_7_a_service_that_is_away(cloud: Cloud) -> None:
    cloud.between = lost
    assert cloud.run("list", "--patience", "0s").exit_code == 7
    cloud.between = lambda _: httpx.Response(503, headers={"Retry-After": "30"})
    assert cloud.run("list", "--patience", "1s").exit_code == 7


def test_a_page_that_is_not_the_api_is_refused(cloud: Cloud) -> None:
    for response in (
        httpx.Response(200, text="<html>"),
        httpx.Response(302, headers={"Location": "https://other.example"}),
        httpx.Response(404, text="no route"),
    ):
        cloud.between = lambda _, response=response: response  # type: ignore[misc]
        assert cloud.run("list").exit_code == 2
        assert len(cloud.requests) < 4


def test_a_key_in_an_error_of_the_connection_is_hidden(cloud: Cloud) -> None:
    def leak(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"illegal header {KEY}", request=request)

    cloud.between = leak
    result = cloud.run("list", "--patience", "0s")
    assert result.exit_code == 7
    assert "***" in result.stderr


def test_a_create_whose_response_was_lost_creates_one_rollout(cloud: Cloud) -> None:
    remaining = [2]

    def lose_response(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or not remaining[0]:
            return None
        remaining[0] -= 1
        cloud.between = lambda _: None
        cloud.handle(request)
        cloud.between = lose_response
        raise httpx.ReadError("connection reset", request=request)

    cloud.between = lose_response
    created = cloud.run("create", *ONE)
    assert created.exit_code == 0
    assert len(lines(cloud.run("list"))) == 1


def test_a_command_whose_response_was_lost_is_not_repeated(cloud: Cloud) -> None:
    rollout_id = cloud.create()

    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    cloud.between, before = lose, len(cloud.requests)
    result = cloud.run("rollback", rollout_id)
    assert result.exit_code == 7
    assert "check with fleet show" in result.stderr
    assert len(cloud.requests) == before + 1


def test_a_file_and_options_are_merged_or_contradict_each_other(
    cloud: Cloud, tmp_path: Path
) -> None:
    file = tmp_path / "rollout.json"
    body = {
        "firmware": {"version": "2.5.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": ["d-000"]},
        "strategy": {"soak": "PT5M"},
    }
    file.write_text(json.dumps(body))
    merged = cloud.run(
        "create", "--file", str(file), "--label", "build=7", "--attempts", "2", "--json"
    )
    shown = json.loads(merged.stdout)
    assert shown["firmware"]["version"] == "2.5.0"
    assert shown["labels"] == {"build": "7"}
    assert shown["strategy"]["retry"]["attempts"] == 2
    assert shown["strategy"]["soak"] == "PT5M"
    for contradiction in (
        ("--version", "9.9.9"),
        ("--condition", "tags.a = 1"),
        ("--device", "d-001"),
        ("--soak", "30m"),
    ):
        refused = cloud.run("create", "--file", str(file), *contradiction)
        assert refused.exit_code == 2
        assert "contradict each other at /" in refused.stderr
    assert len(lines(cloud.run("list"))) == 1
