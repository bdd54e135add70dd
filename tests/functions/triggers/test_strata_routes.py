"""Strata over HTTP: refused requests, plans, what a rollout shows, commands for one stratum."""

from typing import Any

import pytest

from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client, Response
from tests.functions.use_cases.world import World, device

SIZES = {"berlin": 30, "paris": 30, "rome": 2}


@pytest.fixture
def world() -> World:
    return World(
        device(
            f"{name}-{number:02}",
            stratum=name,
            fault=Fault.FAILING if name == "berlin" else Fault.NONE,
        )
        for name, size in SIZES.items()
        for number in range(size)
    )


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def body(world: World, **strategy: Any) -> dict[str, Any]:
    return {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": {
            "stratifyBy": ["tags.site"],
            "failureGate": {"onBreach": "freeze"},
            "successShare": "50%",
            "maxInFlight": 8,
            **strategy,
        },
    }


def run_until_frozen(world: World, client: Client) -> str:
    created = client.post("/rollouts", body(world))
    assert created.status == 201
    world.ticks(80)
    return str(created.body["id"])


def strata_of(response: Response) -> dict[str, Any]:
    return {item["name"]: item for item in response.body["strata"]}


def test_a_freeze_without_strata_is_refused(world: World, client: Client) -> None:
    refused = client.post("/rollouts", body(world, stratifyBy=[]))
    assert refused.status == 422
    assert "needs stratifyBy" in refused.text


def test_a_plan_and_the_rollout_say_which_strata_are_too_small(
    world: World, client: Client
) -> None:
    planned = client.post("/rollouts/plan", body(world))
    (warning,) = [item for item in planned.body["warnings"] if item["code"] == "stratumTooSmall"]
    assert "rome (2)" in warning["message"]
    assert warning["count"] == 1
    created = strata_of(client.post("/rollouts", body(world)))
    assert {name: item["status"] for name, item in created.items()} == {
        "berlin": "judged",
        "paris": "judged",
        "rome": "tooSmall",
    }


def test_a_plan_of_one_stratum_says_that_a_breach_pauses(world: World, client: Client) -> None:
    one = {"deviceIds": [name for name in world.hub.devices if name.startswith("paris")]}
    planned = client.post("/rollouts/plan", {**body(world), "target": one})
    (warning,) = [item for item in planned.body["warnings"] if item["code"] == "oneStratum"]
    assert "A breach pauses the rollout." in warning["message"]


def test_the_rollout_shows_a_frozen_stratum_and_pauses_once_it_is_all_that_is_left(
    world: World, client: Client
) -> None:
    rollout_id = run_until_frozen(world, client)
    shown = client.get(f"/rollouts/{rollout_id}")
    assert shown.body["status"] == "paused"
    assert shown.body["statusReason"]["code"] == "stratumFrozen"
    berlin = strata_of(shown)["berlin"]
    assert (berlin["status"], berlin["reason"]["code"]) == ("frozen", "failureGate")
    assert berlin["counts"]["queued"] > 0
    assert berlin["frozenAt"] is not None


@pytest.mark.parametrize("command", ["resume", "cancel", "rollback"])
def test_an_unknown_stratum_is_refused_by_its_pointer(
    world: World, client: Client, command: str
) -> None:
    rollout_id = run_until_frozen(world, client)
    before = world.rollout(rollout_id)
    refused = client.post(f"/rollouts/{rollout_id}/{command}", {"strata": ["berlin", "x"]})
    assert refused.status == 422
    assert [item["pointer"] for item in refused.body["errors"]] == ["/strata/1"]
    assert "berlin, paris, rome" in refused.text
    assert world.rollout(rollout_id) == before


@pytest.mark.parametrize("strata", [[], ["berlin", "berlin"], "berlin", [1], [""]])
def test_strata_that_are_no_list_of_names_are_refused(
    world: World, client: Client, strata: Any
) -> None:
    rollout_id = run_until_frozen(world, client)
    refused = client.post(f"/rollouts/{rollout_id}/resume", {"strata": strata})
    assert refused.status == 422


def test_a_resume_with_a_revision_before_the_freeze_is_a_conflict(
    world: World, client: Client
) -> None:
    rollout_id = run_until_frozen(world, client)
    sent = {"strata": ["berlin"], "revision": 1}
    refused = client.post(f"/rollouts/{rollout_id}/resume", sent)
    assert refused.status == 409
    assert "was frozen with revision" in refused.text


def test_a_stratum_is_cancelled_alone(world: World, client: Client) -> None:
    rollout_id = run_until_frozen(world, client)
    sent = {"strata": ["berlin"], "reason": "wrong board", "by": "ada"}
    cancelled = client.post(f"/rollouts/{rollout_id}/cancel", sent)
    assert cancelled.status == 200
    world.ticks(3)
    ended = client.get(f"/rollouts/{rollout_id}")
    assert ended.body["status"] == "completed"
    assert strata_of(ended)["berlin"]["status"] == "cancelled"
    assert find_event(client, rollout_id, "stratumCancelled") == (
        "ada",
        "Cancelled by ada: berlin: wrong board",
    )


def test_a_stratum_is_resumed_alone(world: World, client: Client) -> None:
    rollout_id = run_until_frozen(world, client)
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    sent = {"strata": ["berlin"], "reason": "mended", "by": "ada"}
    assert client.post(f"/rollouts/{rollout_id}/resume", sent).status == 200
    by, message = find_event(client, rollout_id, "stratumResumed")
    assert (by, message) == ("ada", "Resumed by ada: berlin: mended")
    world.ticks(40)
    ended = client.get(f"/rollouts/{rollout_id}")
    assert strata_of(ended)["berlin"]["counts"]["queued"] == 0


def find_event(client: Client, rollout_id: str, action: str) -> tuple[str, str]:
    """Return who caused the latest event of this kind, and its message."""
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    found = [item for item in events if item["action"] == action][-1]
    return found["by"], found["message"]


def test_a_rollout_without_strata_takes_no_command_for_one(world: World, client: Client) -> None:
    plain = body(world, stratifyBy=[], failureGate={"onBreach": "pause"})
    created = client.post("/rollouts", plain)
    assert "strata" not in created.body
    refused = client.post(f"/rollouts/{created.body['id']}/cancel", {"strata": ["berlin"]})
    assert refused.status == 422
    assert "has no strata" in refused.text
