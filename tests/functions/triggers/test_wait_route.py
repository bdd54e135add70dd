"""Check `GET /rollouts/{id}?waitSeconds=&after=`: what ends a wait, and what a wait costs."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from functions.triggers import http_rollouts
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client, Response
from tests.functions.use_cases.world import World, devices

SHORT = 0.02  # seconds between two looks
SOON = 0.15  # seconds after which a test changes the rollout


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(http_rollouts, "POLL_SECONDS", SHORT)
    return World(devices(12))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def create(client: Client, **strategy: Any) -> Any:
    created = client.post(
        "/rollouts",
        {
            "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
            "target": {"deviceIds": [f"d-{number:03}" for number in range(12)]},
            "strategy": strategy,
        },
    )
    assert created.status == 201, created.text
    return client.get(f"/rollouts/{created.body['id']}").body


def wait(client: Client, rollout: Any, query: str) -> tuple[Response, float]:
    """Send a waiting request. Return the response and the seconds that it took."""
    started = time.monotonic()
    return client.get(f"/rollouts/{rollout['id']}?{query}"), time.monotonic() - started


def wait_while(
    client: Client, rollout: Any, change: Callable[[], Any], seconds: int = 20
) -> tuple[Response, float]:
    """Wait for a change of `rollout`, and make it soon after the wait began."""
    timer = threading.Timer(SOON, change)
    timer.start()
    try:
        return wait(client, rollout, f"waitSeconds={seconds}&after={rollout['revision']}")
    finally:
        timer.join()


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_a_command_ends_the_wait_at_once(client: Client, command: str) -> None:
    rollout = create(client, maxInFlight=2)
    path = f"/rollouts/{rollout['id']}/{command}"
    response, seconds = wait_while(client, rollout, lambda: client.post(path))
    assert seconds < 10
    assert response.body["status"] in {"paused", "cancelled"}
    assert response.body["revision"] > rollout["revision"]


def test_an_approval_and_the_request_for_it_end_the_wait(client: Client, world: World) -> None:
    rollout = create(client, waves=[{"name": "canary", "size": 1}, {"size": 5, "approval": True}])
    for _ in range(40):
        response, seconds = wait_while(client, rollout, world.tick)
        rollout = response.body
        assert seconds < 10
        if (rollout["statusReason"] or {}).get("code") == "awaitingApproval":
            break
    assert rollout["statusReason"]["code"] == "awaitingApproval"
    path = f"/rollouts/{rollout['id']}/approve"
    response, seconds = wait_while(client, rollout, lambda: client.post(path))
    assert seconds < 10
    assert response.body["waves"][1]["status"] == "running"


def test_counts_and_a_freeze_end_the_wait(client: Client, world: World) -> None:
    rollout = create(client, maxInFlight=2)
    response, _ = wait_while(client, rollout, lambda: world.ticks(4))
    assert response.body["revision"] > rollout["revision"]
    rollout = response.body

    def freeze() -> None:
        client.put("/freeze", {"reason": "incident"})
        world.tick()

    # The wait ends with the first of several changes; the tick sets the reason.
    response, _ = wait_while(client, rollout, freeze)
    assert response.body["revision"] > rollout["revision"]
    frozen = client.get(f"/rollouts/{rollout['id']}").body
    assert frozen["statusReason"]["code"] == "frozen"


def test_a_revision_of_the_past_ends_the_wait_at_once(client: Client) -> None:
    rollout = create(client)
    response, seconds = wait(client, rollout, "waitSeconds=60&after=0")
    assert response.body["revision"] == rollout["revision"] > 0
    assert seconds < 10


@pytest.mark.parametrize("ahead", [0, 2**40])
def test_without_a_change_the_response_comes_after_the_time(client: Client, ahead: int) -> None:
    rollout = create(client)
    response, seconds = wait(client, rollout, f"waitSeconds=1&after={rollout['revision'] + ahead}")
    assert response.body["revision"] == rollout["revision"]
    assert 1 <= seconds < 10


def test_after_also_waits_for_changes_after_the_end(client: Client, world: World) -> None:
    for name in world.hub.devices:
        world.hub.devices[name].fault = Fault.FAILING
    rollout = create(client)
    world.until_over(rollout["id"])
    over = client.get(f"/rollouts/{rollout['id']}").body
    path = f"/rollouts/{rollout['id']}/retry"
    response, seconds = wait_while(client, over, lambda: client.post(path))
    assert over["status"] == "failed"
    assert response.body["status"] == "running"
    assert seconds < 10


def test_without_after_only_the_end_counts(client: Client, world: World) -> None:
    rollout = create(client)
    threading.Timer(SOON, lambda: world.until_over(rollout["id"])).start()
    response, _ = wait(client, rollout, "waitSeconds=20")
    assert response.body["status"] == "completed"


def test_after_alone_does_not_wait(client: Client) -> None:
    rollout = create(client)
    _, seconds = wait(client, rollout, f"after={rollout['revision']}")
    assert seconds < 1


def test_a_look_reads_the_revision_alone(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = create(client)
    store, reads = world.stores.rollouts, {"get": 0, "get_revision": 0}

    def count(name: str) -> None:
        read = getattr(store, name)

        def counted(rollout_id: str) -> Any:
            reads[name] += 1
            return read(rollout_id)

        monkeypatch.setattr(store, name, counted)

    count("get")
    count("get_revision")
    wait(client, rollout, f"waitSeconds=1&after={rollout['revision']}")
    assert reads["get"] == 1
    assert 2 <= reads["get_revision"] <= 1 / SHORT + 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("after=-1", "from 0 to"),
        ("after=x", "whole number"),
        ("after=9007199254740993", "to 9007199254740992"),
        (f"after={'9' * 5000}", "whole number"),
        ("after=1.5", "whole number"),
        ("waitSeconds=61&after=1", "from 0 to 60"),
    ],
)
def test_an_invalid_cursor_is_refused(client: Client, query: str, said: str) -> None:
    rollout = create(client)
    response = client.get(f"/rollouts/{rollout['id']}?{query}")
    assert response.status == 422
    assert said in response.body["detail"]


@pytest.mark.parametrize("rollout_id", ["unknown", "98203873600000-4da43c6da5d7"])
def test_an_unknown_rollout_is_not_waited_for(client: Client, rollout_id: str) -> None:
    response, seconds = wait(client, {"id": rollout_id}, "waitSeconds=60&after=3")
    assert response.status == 404
    assert seconds < 10
