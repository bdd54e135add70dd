"""Roll back over HTTP: devices that moved on stay, and a rollback can be followed by another."""

from typing import Any
from uuid import uuid4

from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.waiting import eventually


def roll_out(api: Api, version: str, ids: list[str], **strategy: Any) -> Any:
    """Roll a version out to devices and return the ended rollout."""
    firmware = {"version": version, "packageUri": f"https://packages.example/{version}.bin"}
    body = {"firmware": firmware, "target": {"deviceIds": ids}, "strategy": strategy}
    ended = api.wait_for_end(api.post("/rollouts", body, 201))
    assert ended["counts"]["completed"] == len(ids), ended
    return ended


def start_devices(fleet: Fleet, count: int) -> list[str]:
    ids = [f"back-{uuid4()}" for _ in range(count)]
    for device_id in ids:
        fleet.start(device_id, stage_seconds=0.05)
    return ids


def running_versions(api: Api, rollout_id: str, ids: list[str]) -> set[str]:
    return {api.device(rollout_id, device_id)["version"] for device_id in ids}


def test_a_rollback_leaves_devices_alone_that_moved_on(api: Api, fleet: Fleet) -> None:
    stayed, moved = start_devices(fleet, 2)
    roll_out(api, "8.0.0", [stayed, moved])
    undone = roll_out(api, "8.1.0", [stayed, moved])
    later = roll_out(api, "8.2.0", [moved])
    back = api.post(f"/rollouts/{undone['id']}/rollback", {"by": "ada"}, 201)
    assert api.wait_for_end(back)["counts"] == {**back["counts"], "updating": 0, "completed": 1}
    assert running_versions(api, back["id"], [stayed]) == {"8.0.0"}
    created = api.every(f"/rollouts/{back['id']}/events?limit=100")[0]["message"]
    assert f"Not brought back: 1 device that rollout {later['id']} has brought on ({moved})" in (
        created
    )
    latest = api.get(f"/devices/{moved}/rollouts")["value"][0]
    assert (latest["rolloutId"], latest["state"]) == (later["id"], "completed")


def test_a_cancelled_rollback_is_followed_by_another_for_the_devices_left(
    api: Api, fleet: Fleet
) -> None:
    ids = start_devices(fleet, 3)
    roll_out(api, "1.1.0", ids)
    undone = roll_out(api, "2.0.0", ids)
    path = f"/rollouts/{undone['id']}"
    fleet.stop(ids[2])
    first = api.post(f"{path}/rollback", {"by": "ada"}, 201)
    refused = api.call("POST", f"{path}/rollback")
    assert (refused.status, first["id"] in refused.json["detail"]) == (409, True)
    assert "cancel it" in refused.json["detail"]
    first_path = f"/rollouts/{first['id']}"
    eventually(lambda: api.get(first_path)["counts"]["completed"] == 2)
    api.post(f"{first_path}/cancel")
    assert api.wait_for_end(first)["counts"]["cancelled"] == 1
    fleet.start(ids[2], stage_seconds=0.05)
    second = api.post(f"{path}/rollback", {"by": "ada"}, 201)
    assert second["counts"]["total"] == 1
    assert api.wait_for_end(second)["counts"]["completed"] == 1
    assert api.get(path)["rolledBackBy"] == second["id"]
    exhausted = api.call("POST", f"{path}/rollback").json["detail"]
    assert "none runs 2.0.0 any more" in exhausted
    assert api.call("POST", f"{path}/retry").status == 409
