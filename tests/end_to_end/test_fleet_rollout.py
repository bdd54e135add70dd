"""A bad firmware stops at its canary, is fixed, rolled out, and rolled back."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.options import CloudOptions
from tests.end_to_end.checks import check_counters, list_updates
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.hub_side import count_starts, last_versions, methods
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

DEVICES = 110  # in two blocks
CANARY = 10
QUICK = ("--stage-seconds", "0.2")


@pytest.fixture
def options(tmp_path: Path) -> Iterator[CloudOptions]:
    """Run a cloud with a hundred times the quotas of one S1 unit; yield its options."""
    with run_cloud(replace(make_options(tmp_path), throttle_scale=100)) as running:
        yield running.options


def make_body(version: str, ids: list[str], **more: Any) -> dict[str, Any]:
    return {
        "firmware": {"version": version, "packageUri": f"https://packages.example/{version}.bin"},
        "target": {"deviceIds": ids},
        **more,
    }


def test_a_bad_firmware_stops_at_its_canary_and_the_fixed_one_can_be_rolled_back(
    options: CloudOptions,
) -> None:
    api = Api(options)
    with connected_fleet(options, DEVICES, *QUICK) as ids:
        first = api.post("/rollouts", make_body("1.5.0", ids), 201)
        assert api.wait_for_end(first)["counts"]["completed"] == DEVICES
    with connected_fleet(options, DEVICES, *QUICK, "--fail", "100%"):
        rollout = _create_as_planned(api, ids)
        _check_stopped(api, _wait_until_paused(api, rollout))
    with connected_fleet(options, DEVICES, *QUICK):
        _retry_and_resume(api, rollout)
        _roll_back(api, rollout, ids)


def _create_as_planned(api: Api, ids: list[str]) -> Any:
    waves = {"waves": [{"name": "canary", "size": CANARY}]}
    planned = api.post("/rollouts/plan", make_body("2.0.0", ids, strategy=waves))
    assert [(wave["name"], wave["size"]) for wave in planned["waves"]] == [
        ("canary", CANARY), ("rest", DEVICES - CANARY),
    ]  # fmt: skip
    assert (planned["devices"], planned["exact"], planned["conflicts"]) == (DEVICES, True, [])
    for other in (
        make_body("2.0.0", ids[1:], strategy=waves),
        make_body("2.0.1", ids, strategy=waves),
        make_body("2.0.0", ids),
    ):
        response = api.call("POST", "/rollouts", other | {"planHash": planned["planHash"]})
        assert response.status == 409
        assert "plan" in response.json["detail"]
    wanted = make_body("2.0.0", ids, strategy=waves, planHash=planned["planHash"])
    before = methods(api.options)
    rollout = api.post("/rollouts", wanted, 201)
    _wait_until_paused(api, rollout)
    assert methods(api.options) - before <= CANARY
    return rollout


def _wait_until_paused(api: Api, rollout: Any) -> Any:
    path = f"/rollouts/{rollout['id']}"

    def read_paused() -> Any:
        found = api.get(path)
        quiet = found["counts"]["updating"] == 0
        return found if found["status"] == "paused" and quiet else None

    return eventually(read_paused, seconds=60)


def _check_stopped(api: Api, stopped: Any) -> None:
    counts, reason = stopped["counts"], stopped["statusReason"]
    assert reason["code"] == "failureGate"
    numbers = re.match(r"Wave canary: (\d+) of its first (\d+) devices failed", reason["message"])
    assert numbers
    assert 2 <= int(numbers[1]) <= int(numbers[2]) <= CANARY
    assert int(numbers[1]) <= counts["failed"] <= CANARY
    assert counts["queued"] == DEVICES - counts["failed"]
    assert [wave["status"] for wave in stopped["waves"]] == ["failed", "pending"]
    updates = list_updates(api, stopped["id"])
    canary = {item["deviceId"] for item in updates if item["wave"] == "canary"}
    assert {device_id for device_id, _ in count_starts(api.options, stopped["id"])} <= canary
    waiting = next(item for item in updates if item["state"] == "queued")
    why, _, _ = reason["message"].partition(" Next: ")
    assert why in api.device(stopped["id"], waiting["deviceId"])["explanation"]
    failed = [item for item in updates if item["state"] == "failed"]
    assert {item["error"]["code"] for item in failed} == {"reported"}
    assert {item["previousVersion"] for item in failed} == {"1.5.0"}


def _retry_and_resume(api: Api, rollout: Any) -> None:
    """Retry the failed devices, resume, and check that the other devices follow."""
    path = f"/rollouts/{rollout['id']}"
    failed = api.get(f"{path}/devices?state=failed&limit=100")["value"]
    retried = api.post(f"{path}/retry", {"by": "ada", "reason": "the server was fixed"})
    assert (retried["status"], retried["counts"]["failed"]) == ("paused", 0)
    again = api.device(rollout["id"], failed[0]["deviceId"])
    assert (again["state"], again["attempt"], again["error"]) == ("queued", 2, None)
    assert api.post(f"{path}/resume", {"by": "ada"})["status"] == "running"
    assert api.wait_for_end(rollout)["status"] == "completed"
    counted = check_counters(api, rollout["id"])
    assert counted["completed"] == DEVICES
    attempts = Counter(item["attempt"] for item in list_updates(api, rollout["id"]))
    assert attempts == {1: DEVICES - len(failed), 2: len(failed)}
    history = api.device(rollout["id"], failed[0]["deviceId"])["history"]
    assert [(step["state"], step["attempt"]) for step in history if step["state"] == "failed"] == [
        ("failed", 1)
    ]
    assert (history[-1]["state"], history[-1]["attempt"]) == ("completed", 2)
    _check_audit_trail(api, path)


def _check_audit_trail(api: Api, path: str) -> None:
    trail = api.every(f"{path}/events?limit=100")
    actions = [(event["action"], event["by"]) for event in trail]
    for expected in (("created", "api"), ("paused", "rollout"), ("retried", "ada")):
        assert expected in actions
    assert actions.index(("retried", "ada")) < actions.index(("resumed", "ada"))
    assert actions[-1] == ("completed", "rollout")
    assert "the server was fixed" in " ".join(event["message"] for event in trail)


def _roll_back(api: Api, rollout: Any, ids: list[str]) -> None:
    _check_versions(api, ids, "2.0.0")
    back = api.post(f"/rollouts/{rollout['id']}/rollback", {"by": "ada"}, 201)
    assert back["rollbackOf"] == rollout["id"]
    assert back["firmware"]["version"] == "1.5.0"
    assert back["strategy"]["waves"][0]["name"] == "canary"
    assert api.wait_for_end(back)["counts"]["completed"] == DEVICES
    _check_versions(api, ids, "1.5.0")
    assert api.get(f"/rollouts/{rollout['id']}")["rolledBackBy"] == back["id"]
    update = api.device(back["id"], ids[0])
    assert (update["previousVersion"], update["version"]) == ("2.0.0", "1.5.0")
    versions = [
        entry["firmware"]["version"] for entry in api.get(f"/devices/{ids[0]}/rollouts")["value"]
    ]
    assert versions == ["1.5.0", "2.0.0", "1.5.0"]
    response = api.call("POST", f"/rollouts/{rollout['id']}/rollback")
    assert (response.status, back["id"] in response.text) == (409, True)


def _check_versions(api: Api, ids: list[str], expected: str) -> None:
    versions = last_versions(api.options)
    assert {versions[device_id] for device_id in ids} == {expected}
