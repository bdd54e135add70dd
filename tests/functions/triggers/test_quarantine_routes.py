"""Test the quarantine of devices that failed in several rollouts, over HTTP."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.quarantine import QuarantineRule
from functions.use_cases import quarantine
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, device

TWICE = QuarantineRule(failures=2, period=timedelta(days=30))


@pytest.fixture
def world() -> World:
    world = World([device("bad", fault=Fault.FAILING), device("good")])
    world.services = replace(world.services, quarantine_rule=TWICE)
    return world


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def run(client: Client, world: World, version: str, *device_ids: str) -> str:
    firmware = {"version": version, "packageUri": "https://packages.example/fw.bin"}
    body = {"firmware": firmware, "target": {"deviceIds": list(device_ids) or ["bad", "good"]}}
    rollout_id = str(client.post("/rollouts", body).body["id"])
    world.ticks(20)
    return rollout_id


def bad(client: Client, rollout_id: str) -> Any:
    return client.get(f"/rollouts/{rollout_id}/devices/bad").body


def fail_twice(client: Client, world: World) -> list[str]:
    failed = [run(client, world, version) for version in ("2.0", "2.1")]
    assert [bad(client, rollout_id)["state"] for rollout_id in failed] == ["failed", "failed"]
    return failed


def test_a_device_that_failed_twice_is_skipped_by_later_rollouts(
    client: Client, world: World
) -> None:
    failed = fail_twice(client, world)
    started = world.hub.started
    third = run(client, world, "2.2")
    shown = bad(client, third)
    assert (shown["state"], shown["skipReason"]) == ("skipped", "quarantined")
    message = shown["history"][-1]["message"]
    assert "is in quarantine until 2026-12-23T12:" in message
    assert all(rollout_id in message for rollout_id in failed)
    assert world.hub.started == started + 1
    assert client.get(f"/rollouts/{third}").body["status"] == "completed"
    events = client.get(f"/rollouts/{third}/events").body["value"]
    assert [item["message"] for item in events if item["action"] == "quarantined"] == [
        "Skipped 1 in quarantine: bad."
    ]
    history = client.get("/devices/bad/rollouts").body
    assert history["quarantine"]["rolloutIds"] == sorted(failed)
    assert "quarantine" not in client.get("/devices/good/rollouts").body


def test_without_the_setting_no_device_is_quarantined(client: Client, world: World) -> None:
    world.services = replace(world.services, quarantine_rule=None)
    fail_twice(client, world)
    assert bad(client, run(client, world, "2.2"))["state"] == "failed"
    assert world.stores.quarantine.get("bad") is None


def test_a_quarantine_ends_by_time(client: Client, world: World) -> None:
    fail_twice(client, world)
    world.pass_time(days=31)
    assert bad(client, run(client, world, "2.2"))["state"] == "failed"
    assert bad(client, run(client, world, "2.3"))["state"] == "failed"
    assert bad(client, run(client, world, "2.4"))["state"] == "skipped"


def test_a_released_device_starts_and_may_fail_again(client: Client, world: World) -> None:
    fail_twice(client, world)
    assert client.delete("/devices/BAD/quarantine").status == 404
    released = client.delete("/devices/bad/quarantine")
    assert (released.status, len(released.body["rolloutIds"])) == (200, 2)
    assert client.delete("/devices/bad/quarantine").status == 404
    assert bad(client, run(client, world, "2.2"))["state"] == "failed"
    assert bad(client, run(client, world, "2.3"))["state"] == "failed"
    assert bad(client, run(client, world, "2.4"))["skipReason"] == "quarantined"


def test_two_failures_in_one_rollout_count_once(client: Client, world: World) -> None:
    first = run(client, world, "2.0")
    assert client.post(f"/rollouts/{first}/retry").status == 200
    world.ticks(20)
    assert (bad(client, first)["state"], bad(client, first)["attempt"]) == ("failed", 2)
    assert bad(client, run(client, world, "2.1"))["state"] == "failed"


def test_a_failure_that_a_retry_mends_does_not_count(client: Client, world: World) -> None:
    first = run(client, world, "2.0")
    world.hub.devices["bad"].fault = Fault.NONE
    client.post(f"/rollouts/{first}/retry")
    world.ticks(20)
    assert bad(client, first)["state"] == "completed"
    world.hub.devices["bad"].fault = Fault.FAILING
    assert bad(client, run(client, world, "2.1"))["state"] == "failed"
    assert bad(client, run(client, world, "2.2"))["state"] == "failed"


def test_only_a_retry_that_names_the_device_takes_it(client: Client, world: World) -> None:
    fail_twice(client, world)
    third = run(client, world, "2.2")
    client.post(f"/rollouts/{third}/retry", {"states": ["skipped"]})
    world.ticks(20)
    assert bad(client, third)["skipReason"] == "quarantined"
    client.post(f"/rollouts/{third}/retry", {"states": ["skipped"], "deviceIds": ["bad"]})
    world.ticks(20)
    assert bad(client, third)["state"] == "failed"


def test_a_plan_and_a_create_warn(client: Client, world: World) -> None:
    fail_twice(client, world)
    firmware = {"version": "2.2", "packageUri": "https://packages.example/fw.bin"}
    body = {"firmware": firmware, "target": {"deviceIds": ["bad", "good"]}}
    for path in ("/rollouts/plan", "/rollouts"):
        warnings = {
            item["code"]: item["count"] for item in client.post(path, body).body["warnings"]
        }
        assert warnings["quarantined"] == 1


def test_a_batch_from_the_queue_skips_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = [device(f"d-{number:02}") for number in range(30)]
    world = World([device("bad", fault=Fault.FAILING), *fleet])
    world.services = replace(world.services, quarantine_rule=TWICE)
    client = Client(world, monkeypatch)
    fail_twice_alone = [run(client, world, version, "bad") for version in ("2.0", "2.1")]
    assert len(fail_twice_alone) == 2
    third = run(client, world, "2.2", "bad", *(item.device_id for item in fleet))
    assert bad(client, third)["skipReason"] == "quarantined"
    assert client.get(f"/rollouts/{third}").body["counts"]["completed"] == 30


def test_a_rollback_takes_a_device_in_quarantine(client: Client, world: World) -> None:
    fail_twice(client, world)
    rollout = world.rollout(run(client, world, "2.2", "good"))
    assert quarantine.find(world.services, rollout, ["bad", "good"]).keys() == {"bad"}
    undoing = replace(rollout, definition=replace(rollout.definition, rollback_of="r"))
    assert quarantine.find(world.services, undoing, ["bad", "good"]) == {}
