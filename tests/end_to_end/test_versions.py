"""The version that a device reports, through HTTP, the Functions host, the hub and devices."""

from typing import Any

from tests.end_to_end.client import FIRMWARE, Api
from tests.end_to_end.fleet import Fleet


def make_body(*device_ids: str, **firmware: Any) -> dict[str, Any]:
    return {"firmware": {**FIRMWARE, **firmware}, "target": {"deviceIds": list(device_ids)}}


def test_a_device_that_completes_on_another_version_fails_and_the_way_out_works(
    api: Api, fleet: Fleet
) -> None:
    fleet.start("stray", stage_seconds=0.2, runs_instead="2.3.9")
    created = api.post("/rollouts", make_body("stray"), status=201)
    ended = api.wait_for_end(created)
    assert (ended["status"], ended["counts"]["failed"]) == ("failed", 1)
    update = api.device(created["id"], "stray")
    assert update["error"]["code"] == "wrongVersion"
    assert (update["previousVersion"], update["runningVersion"]) == ("1.0.0", "2.3.9")
    assert update["explanation"] == (
        "The device reports version 2.3.9, expected 2.4.0. If 2.3.9 is another name of 2.4.0, list"
        " it in firmware.reportedAs of a new rollout."
    )

    named = make_body("stray", reportedAs=["2.3.9"])
    planned = api.post("/rollouts/plan", named)
    assert (planned["alreadyRunning"], planned["downgrades"]) == (1, 0)
    again = api.post("/rollouts", named, status=201)
    assert (again["status"], again["counts"]["skipped"]) == ("completed", 1)
    [skipped] = again["devices"]
    assert (skipped["skipReason"], skipped["runningVersion"]) == ("alreadyRunning", "2.3.9")
    assert again["firmware"]["reportedAs"] == ["2.3.9"]

    planned = api.post("/rollouts/plan", make_body("stray", version="2.3.0"))
    assert planned["downgrades"] == 1
    assert "downgrade" in {warning["code"] for warning in planned["warnings"]}


def test_the_hub_counts_the_versions_of_a_condition(api: Api, fleet: Fleet) -> None:
    names = [f"counted-{number}" for number in range(12)]
    for number, name in enumerate(names):
        fleet.start(name, version=("2.4.0", "2.5.0", "1.0.0")[number % 3])
    ids = ", ".join(f"'{name}'" for name in names)
    by_condition = {"firmware": FIRMWARE, "target": {"condition": f"deviceId IN [{ids}]"}}
    for body in (make_body(*names), by_condition):
        planned = api.post("/rollouts/plan", body)
        assert (planned["alreadyRunning"], planned["downgrades"]) == (4, 4)


def test_a_version_may_be_left_unverified(api: Api, fleet: Fleet) -> None:
    fleet.start("trusted", stage_seconds=0.2, runs_instead="2.3.9")
    created = api.create("trusted", verifyVersion=False)
    assert api.wait_for_end(created)["counts"]["completed"] == 1
    assert api.device(created["id"], "trusted")["runningVersion"] == "2.3.9"
