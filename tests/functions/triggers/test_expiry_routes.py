"""Check over HTTP what a caller sees of a signed link that expires."""

from datetime import timedelta
from typing import Any

import pytest

from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import NOON, World, devices

URI = "https://packages.example/fw.bin"
FRESH = f"{URI}?se=2099-01-01T00:00:00Z&sig=bmV3c2lnbmF0dXJl"


@pytest.fixture
def world() -> World:
    return World(devices(2))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def link(minutes: float) -> str:
    at = (NOON + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{URI}?se={at}&sig=b2xkc2lnbmF0dXJl"


def body(uri: str, **more: Any) -> dict[str, Any]:
    return {
        "firmware": {"version": "2.4.0", "packageUri": uri},
        "target": {"deviceIds": ["d-000", "d-001"]},
        **more,
    }


def test_a_link_that_has_expired_is_refused(client: Client) -> None:
    refused = client.post("/rollouts", body(link(-1)))
    assert refused.status == 422
    assert refused.body["errors"][0]["pointer"] == "/firmware/packageUri"
    assert "sign a new link" in refused.body["errors"][0]["detail"]
    assert "b2xk" not in str(refused.body)


def test_a_rollout_pauses_before_its_link_expires_and_resumes_with_another(
    client: Client, world: World
) -> None:
    world.hub.devices["d-000"].offline = True
    path = f"/rollouts/{client.post('/rollouts', body(link(20))).body['id']}"
    world.ticks(110)
    paused = client.get(path).body
    assert (paused["status"], paused["statusReason"]["code"]) == ("paused", "packageUriExpires")
    assert "new packageUri" in paused["statusReason"]["message"]
    world.hub.devices["d-000"].offline = False

    refused = client.post(f"{path}/resume", {})
    assert (refused.status, "packageUri" in refused.body["detail"]) == (409, True)
    late = client.post(f"{path}/resume", {"packageUri": link(1)})
    assert (late.status, late.body["errors"][0]["pointer"]) == (422, "/packageUri")
    resumed = client.post(f"{path}/resume", {"packageUri": FRESH})
    assert (resumed.status, resumed.body["status"]) == (200, "running")
    world.ticks(250)
    assert client.get(path).body["counts"]["completed"] == 2
    events = client.get(f"{path}/events").body["value"]
    assert not any("bmV3" in str(event) or "b2xk" in str(event) for event in events)
