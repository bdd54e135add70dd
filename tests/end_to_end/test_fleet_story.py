"""A fleet's story: a bad firmware stops at its canary, is fixed, rolled out, and rolled back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.cloud import cloud
from simulator.cloud.options import CloudOptions
from tests.end_to_end.client import Api, eventually
from tests.end_to_end.conftest import make_options
from tests.end_to_end.light_fleet import light_fleet

DEVICES = 200
CANARY = 10
QUICK = ("--stage-seconds", "0.2")


@pytest.fixture
def options(tmp_path: Path) -> Iterator[CloudOptions]:
    """A cloud whose service paces itself for ten times the hub of the smallest tier."""
    with cloud.running(replace(make_options(tmp_path), throttle_scale=10)) as running:
        yield running.options


def body(version: str, ids: list[str], **more: Any) -> dict[str, Any]:
    return {
        "firmware": {"version": version, "packageUri": f"https://packages.example/{version}.bin"},
        "target": {"deviceIds": ids},
        **more,
    }


def ended(api: Api, rollout: Any) -> Any:
    found = api.get(f"/rollouts/{rollout['id']}?waitSeconds=60")
    assert found["endedAt"] is not None, (found["status"], found["statusReason"], found["counts"])
    return found


def post(api: Api, path: str, what: dict[str, Any] | None = None, status: int = 200) -> Any:
    answer = api.call("POST", path, what)
    assert answer.status == status, answer
    return answer.json


def test_a_bad_firmware_stops_at_its_canary_and_the_fixed_one_can_be_taken_back(
    options: CloudOptions,
) -> None:
    api = Api(options)
    waves = {"waves": [{"name": "canary", "size": CANARY}]}
    with light_fleet(options, DEVICES, *QUICK) as ids:
        first = post(api, "/rollouts", body("1.5.0", ids), 201)
        assert ended(api, first)["counts"]["completed"] == DEVICES
    with light_fleet(options, DEVICES, *QUICK, "--fail", "100%"):
        planned = post(api, "/rollouts/plan", body("2.0.0", ids, strategy=waves))
        assert [(wave["name"], wave["size"]) for wave in planned["waves"]] == [
            ("canary", CANARY), ("rest", DEVICES - CANARY),
        ]  # fmt: skip
        stale = body("2.0.0", ids[1:], strategy=waves, planHash=planned["planHash"])
        assert api.call("POST", "/rollouts", stale).status == 409
        wanted = body("2.0.0", ids, strategy=waves, planHash=planned["planHash"])
        rollout = post(api, "/rollouts", wanted, 201)
        stopped = _until_paused(api, rollout)
        _check_stopped(api, stopped)
    with light_fleet(options, DEVICES, *QUICK):
        path = f"/rollouts/{rollout['id']}"
        post(api, f"{path}/retry", {"by": "ada", "reason": "the server was fixed"})
        resumed = post(api, f"{path}/resume", {"by": "ada"})
        assert resumed["status"] == "running"
        assert ended(api, rollout)["counts"]["completed"] == DEVICES
        _check_trail(api, path)
        _take_back(api, rollout, ids)


def _until_paused(api: Api, rollout: Any) -> Any:
    path = f"/rollouts/{rollout['id']}"

    def paused() -> Any:
        found = api.get(path)
        quiet = found["counts"]["updating"] == 0
        return found if found["status"] == "paused" and quiet else None

    return eventually(paused, seconds=60)


def _check_stopped(api: Api, stopped: Any) -> None:
    counts, reason = stopped["counts"], stopped["statusReason"]
    assert reason["code"] == "failureGate"
    assert (
        f"of {CANARY} finished" in reason["message"]
        or "finished devices failed" in (reason["message"])
    )
    assert counts["failed"] <= CANARY
    assert counts["queued"] == DEVICES - counts["failed"]
    waiting = api.get(f"/rollouts/{stopped['id']}/devices?state=queued&limit=1")["value"][0]
    told = api.device(stopped["id"], waiting["deviceId"])["explanation"]
    assert reason["message"] in told
    failed = api.get(f"/rollouts/{stopped['id']}/devices?state=failed")["value"]
    assert {item["error"]["code"] for item in failed} == {"reported"}
    assert {item["previousVersion"] for item in failed} == {"1.5.0"}


def _check_trail(api: Api, path: str) -> None:
    trail = api.get(f"{path}/events?limit=100")["value"]
    actions = [(event["action"], event["by"]) for event in trail]
    for expected in (("created", "api"), ("paused", "rollout"), ("retried", "ada")):
        assert expected in actions
    assert actions.index(("retried", "ada")) < actions.index(("resumed", "ada"))
    assert actions[-1] == ("completed", "rollout")
    assert "the server was fixed" in " ".join(event["message"] for event in trail)


def _take_back(api: Api, rollout: Any, ids: list[str]) -> None:
    back = post(api, f"/rollouts/{rollout['id']}/rollback", {"by": "ada"}, 201)
    assert back["rollbackOf"] == rollout["id"]
    assert back["firmware"]["version"] == "1.5.0"
    assert back["strategy"]["waves"][0]["name"] == "canary"
    assert ended(api, back)["counts"]["completed"] == DEVICES
    assert api.get(f"/rollouts/{rollout['id']}")["rolledBackBy"] == back["id"]
    update = api.device(back["id"], ids[0])
    assert (update["previousVersion"], update["version"]) == ("2.0.0", "1.5.0")
    versions = [
        entry["firmware"]["version"] for entry in api.get(f"/devices/{ids[0]}/rollouts")["value"]
    ]
    assert versions == ["1.5.0", "2.0.0", "1.5.0"]
    assert api.call("POST", f"/rollouts/{rollout['id']}/rollback").status == 409
