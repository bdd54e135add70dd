"""A device that completes after its timeout counts, over HTTP, also after the rollout's end."""

from tests.end_to_end.checks import check_counters
from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.waiting import eventually


def test_a_device_that_completes_after_its_timeout_has_completed(api: Api, fleet: Fleet) -> None:
    fleet.start("late", stage_seconds=3)
    created = api.create("late", timeout="PT2S", retry={"on": ["unreachable"]})
    path = f"/rollouts/{created['id']}"
    ended = api.wait_for_end(created)
    failed = api.device(created["id"], "late")
    assert (ended["status"], failed["state"], failed["error"]["code"]) == (
        "failed",
        "failed",
        "timedOut",
    )
    eventually(lambda: api.device(created["id"], "late")["state"] == "completed")
    late = api.device(created["id"], "late")
    assert (late["error"], late["firmwareStatus"], late["progressPercent"]) == (
        None,
        "completed",
        100,
    )
    assert late["explanation"].endswith("late. It had failed: timedOut.")
    assert [step["state"] for step in late["history"]][-2:] == ["failed", "completed"]
    found = api.get(path)
    assert (found["counts"]["completed"], found["counts"]["failed"]) == (1, 0)
    assert (found["status"], found["endedAt"]) == (ended["status"], ended["endedAt"])
    assert api.every(f"{path}/events?limit=100")[-1]["action"] == "completedLate"
    assert check_counters(api, created["id"])["completed"] == 1
    refused = api.call("POST", f"{path}/retry")
    assert refused.status == 409, refused
