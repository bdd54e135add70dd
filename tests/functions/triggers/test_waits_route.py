"""A rollout that is not over says what it waits for, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import NOON, World, device, devices

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}
OTHER_UPDATE = {"fwPackageUri": "https://x.example/1", "rolloutId": "another", "attempt": 1}


@pytest.fixture
def world() -> World:
    return World(devices(3))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def create(client: Client, world: World, **more: Any) -> str:
    target = {"deviceIds": list(world.hub.devices)}
    response = client.post("/rollouts", {"firmware": FIRMWARE, "target": target, **more})
    assert response.status == 201, response.text
    return str(response.body["id"])


def reason(client: Client, rollout_id: str) -> Any:
    return client.get(f"/rollouts/{rollout_id}").body["statusReason"]


def test_a_scheduled_rollout_says_when_it_starts(client: Client, world: World) -> None:
    rollout_id = create(client, world, startAt="2026-11-23T12:30:00Z")
    assert reason(client, rollout_id) == {
        "code": "scheduled",
        "message": "The rollout starts at 2026-11-23T12:30:00Z."
        " Next: nothing, it goes on by itself.",
    }


def test_a_rollout_outside_its_window_says_when_it_opens(client: Client, world: World) -> None:
    window = {"start": "12:30", "end": "13:00", "timezone": "UTC"}
    rollout_id = create(client, world, strategy={"window": window})
    assert reason(client, rollout_id) == {
        "code": "window",
        "message": "3 devices wait for the maintenance window, which opens at"
        " 2026-11-23T12:30:00Z. Next: nothing, it goes on by itself.",
    }
    revision = world.rollout(rollout_id).revision
    world.ticks(12)
    assert world.rollout(rollout_id).revision == revision  # a wait costs no writes
    world.clock.now = NOON + timedelta(minutes=30)
    world.tick()
    assert reason(client, rollout_id) is None
    assert world.until_over(rollout_id).counts.completed == 3


def test_a_rollout_whose_devices_are_all_offline_or_busy_says_so(
    client: Client, world: World
) -> None:
    for item in world.hub.devices.values():
        item.stage_seconds = (600.0, 600.0, 600.0, 600.0)
    world.hub.disconnect("d-000")
    world.hub.devices["d-001"].receive_method(OTHER_UPDATE, world.now.timestamp())
    world.hub.devices["d-002"].receive_method(OTHER_UPDATE, world.now.timestamp())
    rollout_id = create(client, world)
    world.ticks(3)
    shown = reason(client, rollout_id)
    assert shown["code"] == "waitingForDevices"
    assert shown["message"].startswith("3 devices wait, and none is updating")
    assert "fleet why DEVICE" in shown["message"]
    world.hub.reconnect("d-000")
    world.ticks(6)
    assert reason(client, rollout_id) is None  # a device is updating


def test_a_failing_gate_or_a_freeze_is_shown_before_a_wait(client: Client, world: World) -> None:
    window = {"start": "20:00", "end": "21:00", "timezone": "UTC"}
    rollout_id = create(client, world, strategy={"window": window})
    client.put("/freeze", {"reason": "incident"})
    world.tick()
    frozen = reason(client, rollout_id)
    assert frozen["code"] == "frozen"
    assert "3 devices wait for the maintenance window" in frozen["message"]
    client.delete("/freeze")
    client.post(f"/rollouts/{rollout_id}/pause")
    world.tick()
    assert reason(client, rollout_id)["code"] == "paused"
    client.post(f"/rollouts/{rollout_id}/resume")
    assert reason(client, rollout_id)["code"] == "window"


def test_a_cancelled_rollout_says_that_devices_are_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World([device(stage=600)])
    client = Client(world, monkeypatch)
    rollout_id = create(client, world)
    client.post(f"/rollouts/{rollout_id}/cancel")
    told = "Next: nothing, devices under way are followed to their end."
    assert reason(client, rollout_id)["message"].endswith(told)


def test_too_little_evidence_of_devices_that_failed_names_those(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None was skipped, so `fleet retry --state skipped` would be refused."""
    world = World(devices(3, fault=Fault.FAILING))
    client = Client(world, monkeypatch)
    strategy = {"waves": [{"size": 1}], "successShare": "0%"}
    rollout_id = create(client, world, strategy=strategy)
    world.ticks(6)
    shown = reason(client, rollout_id)
    assert shown["code"] == "tooLittleEvidence"
    assert "--state failed shows why" in shown["message"]
    assert "--state skipped" not in shown["message"]
