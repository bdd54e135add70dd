"""Waves over HTTP: what a resume may acknowledge, and that skipped canaries open nothing."""

from typing import Any

from tests.end_to_end.client import Api
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

CANARY = [{"name": "canary", "size": 3}]


def wait_for_reason(api: Api, path: str, code: str) -> Any:
    """Return the rollout once its status reason has this code."""

    def read() -> Any:
        found = api.get(path)
        return found if (found["statusReason"] or {}).get("code") == code else None

    return eventually(read)


def test_a_canary_that_was_skipped_opens_nothing_until_a_resume(api: Api, fleet: Fleet) -> None:
    ids = [f"skipped-{number}" for number in range(5)]
    for device_id in ids:
        fleet.register(device_id)
    created = api.create(*ids, waves=CANARY, offline={"policy": "skip", "deadline": "P1D"})
    path = f"/rollouts/{created['id']}"
    stopped = wait_for_reason(api, path, "tooLittleEvidence")
    assert (stopped["status"], stopped["counts"]["queued"]) == ("paused", 2)
    assert [wave["status"] for wave in stopped["waves"]] == ["failed", "pending"]
    api.post(f"{path}/resume", {"revision": stopped["revision"], "by": "ada"})
    ended = api.wait_for_end(created)
    assert (ended["status"], ended["counts"]["skipped"]) == ("failed", 5)
    assert ended["statusReason"]["code"] == "tooLittleEvidence"


def test_a_canary_that_fails_during_a_pause_is_told_and_needs_its_own_resume(api: Api) -> None:
    with connected_fleet(
        api.options, 6, "--stage-seconds", "1", "--fail", "100%", prefix="hidden-"
    ) as ids:
        created = api.create(*ids, waves=CANARY)
        path = f"/rollouts/{created['id']}"
        paused = api.post(f"{path}/pause", {"by": "ada", "reason": "lunch"})
        stopped = wait_for_reason(api, path, "failureGate")
        assert stopped["status"] == "paused"
        early = api.post(f"{path}/resume", {"revision": paused["revision"], "by": "ada"})
        assert (early["status"], early["statusReason"]["code"]) == ("paused", "failureGate")
        assert "resume again to go on" in early["statusReason"]["message"]
        assert api.get(path)["counts"]["queued"] == 3
        ahead = {"revision": early["revision"] + 99}
        assert api.call("POST", f"{path}/resume", ahead).status == 409
        assert api.call("POST", f"{path}/resume", {"revision": "7"}).status == 422
        eventually(lambda: api.get(path)["counts"]["failed"] == 3)
        read = api.get(path)["revision"]
        assert api.post(f"{path}/resume", {"revision": read, "by": "ada"})["status"] == "running"
        api.post(f"{path}/cancel", {"by": "ada"})
        actions = [event["action"] for event in api.every(f"{path}/events?limit=100")]
    assert actions[3:8] == ["paused", "waveFailed", "resumed", "paused", "resumed"]
