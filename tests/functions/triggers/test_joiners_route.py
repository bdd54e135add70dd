"""Check rollouts that take late joiners, over HTTP."""

from typing import Any

import pytest

from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import USUAL_WARNINGS, World, device, devices

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}
CONDITION = "tags.site = 'berlin'"
BODY = {"firmware": FIRMWARE, "target": {"condition": CONDITION, "joiners": True}}


@pytest.fixture
def world() -> World:
    return World(devices(2, stage=100))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def test_the_count_and_the_events_say_who_joined(client: Client, world: World) -> None:
    created = client.post("/rollouts", BODY)
    path = f"/rollouts/{created.body['id']}"
    assert created.status == 201
    assert created.body["target"] == {"condition": CONDITION, "joiners": True}
    assert (created.body["joined"], created.body["counts"]["total"]) == (0, 2)
    assert "joinersCheckedAt" not in created.body
    world.hub.register(device("late", stage=100))
    world.ticks(8)
    shown = client.get(path).body
    assert (shown["joined"], shown["counts"]["total"], shown["waves"][0]["size"]) == (1, 3, 3)
    assert shown["joinersCheckedAt"].startswith("2026-11-23T12:01")
    events = client.get(f"{path}/events").body["value"]
    (joined,) = [event for event in events if event["action"] == "devicesJoined"]
    assert joined["message"] == "1 device joined wave all: late."
    late = client.get(f"{path}/devices/late").body
    assert late["history"][0]["message"] == (
        "The device came to meet the rollout's condition, and joined it."
    )
    listed = client.get(f"{path}/devices").body["value"]
    assert [item["deviceId"] for item in listed][-1] == "late"
    (history,) = client.get("/devices/late/rollouts").body["value"]
    assert history["rolloutId"] == created.body["id"]


def test_a_rollout_without_joiners_says_nothing_of_them(client: Client) -> None:
    target = {"condition": CONDITION, "joiners": False}
    created = client.post("/rollouts", {"firmware": FIRMWARE, "target": target})
    assert created.status == 201
    assert created.body["target"] == {"condition": CONDITION}
    assert "joined" not in created.body


@pytest.mark.parametrize(
    ("target", "pointer", "detail"),
    [
        ({"deviceIds": ["d-000"], "joiners": True}, "/target/joiners", "needs a condition"),
        ({"joiners": True}, "/target/joiners", "needs a condition"),
        ({"condition": CONDITION, "joiners": "yes"}, "/target/joiners", "boolean"),
        ({"condition": CONDITION, "joiners": None}, "/target/joiners", "boolean"),
        ({"condition": CONDITION, "joiners": {"until": "2027-01-01"}}, "/target/joiners", "bool"),
        ({"condition": "", "joiners": True}, "/target/condition", ""),
    ],
)
def test_joiners_need_a_condition(
    client: Client, target: dict[str, Any], pointer: str, detail: str
) -> None:
    for path in ("/rollouts", "/rollouts/plan"):
        response = client.post(path, {"firmware": FIRMWARE, "target": target})
        assert response.status == 422
        errors = {item["pointer"]: item["detail"] for item in response.body["errors"]}
        assert detail in errors[pointer]
    assert client.get("/rollouts").body["value"] == []


def test_a_list_with_joiners_false_is_accepted(client: Client) -> None:
    target = {"deviceIds": ["d-000"], "joiners": False}
    assert client.post("/rollouts", {"firmware": FIRMWARE, "target": target}).status == 201


def test_a_plan_warns_of_what_the_search_costs(client: Client) -> None:
    planned = client.post("/rollouts/plan", BODY)
    shown = planned.body["warnings"]
    (warning,) = [item for item in shown if item["code"] not in USUAL_WARNINGS]
    assert warning["code"] == "joiners"
    assert "join wave all" in warning["message"]
    assert "1 query of the hub's quota, at most every 1 min" in warning["message"]
    created = client.post("/rollouts", {**BODY, "planHash": planned.body["planHash"]})
    assert created.status == 201


def test_a_plan_without_joiners_does_not_fit_a_rollout_with_them(client: Client) -> None:
    planned = client.post("/rollouts/plan", {**BODY, "target": {"condition": CONDITION}})
    created = client.post("/rollouts", {**BODY, "planHash": planned.body["planHash"]})
    assert created.status == 409


def test_the_same_key_with_and_without_joiners_is_a_conflict(client: Client) -> None:
    assert client.post("/rollouts", BODY, Idempotency_Key="k").status == 201
    other = {**BODY, "target": {"condition": CONDITION}}
    assert client.post("/rollouts", other, Idempotency_Key="k").status == 409
