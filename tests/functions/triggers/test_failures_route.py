"""Failures by code over HTTP: in a rollout, and as filters of its devices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.failure_count import FailureCount
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, device

STRATEGY = {
    "waves": [{"name": "canary", "size": 110}],
    "failureGate": {"acceptable": "98%", "unacceptable": "99%", "confidence": 0.999},
    "successShare": "0%",
    "timeout": "PT10M",
    "retry": {"attempts": 1},
}
SLOW = "d-103"


def make_fleet() -> list[VirtualDevice]:
    """Make 130 devices: d-000, d-010, ... report a failure, d-103 completes after its timeout."""
    fleet = [device(f"d-{number:03}") for number in range(130)]
    for number in range(0, 130, 10):
        fleet[number] = device(f"d-{number:03}", fault=Fault.FAILING)
    fleet[103] = device(SLOW, stage=240)
    return fleet


@pytest.fixture
def world() -> World:
    return World(make_fleet(), still=True)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


@pytest.fixture
def rollout_id(world: World, client: Client) -> str:
    """Return a rollout in which all devices of the two waves have ended, the slow one failed."""
    body = {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": STRATEGY,
    }
    created = client.post("/rollouts", body)
    assert created.status == 201, created.text
    found = str(created.body["id"])
    until(world, lambda: world.rollout(found).is_over)
    return found


def until(world: World, reached: Callable[[], bool]) -> None:
    for _ in range(300):
        if reached():
            return
        world.tick()
    raise AssertionError("not reached in 300 ticks")


def failures(client: Client, rollout_id: str) -> list[Any]:
    found: list[Any] = client.get(f"/rollouts/{rollout_id}").body["failures"]
    return found


def list_all(client: Client, path: str) -> list[Any]:
    """Return the devices of all pages, by the links."""
    found: list[Any] = []
    while path:
        page = client.get(path)
        assert page.status == 200, page.text
        found += page.body["value"]
        path = page.body.get("nextLink", "").partition("/api")[2]
    return found


def forget(world: World, rollout_id: str, failures: tuple[FailureCount, ...] | None) -> None:
    """Store other failures; None: as an earlier release stored the rollout."""
    stored = world.stores.rollouts.get(rollout_id)
    assert stored is not None
    world.stores.rollouts.save(stored, replace(stored.rollout, failures=failures))


def test_a_rollout_has_its_failures_by_code(world: World, client: Client, rollout_id: str) -> None:
    found = failures(client, rollout_id)
    assert [(item["code"], item["count"]) for item in found] == [("reported", 13), ("timedOut", 1)]
    assert found[1]["example"] == SLOW
    assert world.update(rollout_id, found[0]["example"]).state is DeviceState.FAILED
    assert client.get("/rollouts").body["value"][0]["failures"] == found


def test_a_late_success_is_taken_out(world: World, client: Client, rollout_id: str) -> None:
    until(world, lambda: world.update(rollout_id, SLOW).state is DeviceState.COMPLETED)
    assert [item["code"] for item in failures(client, rollout_id)] == ["reported"]


def test_a_retry_takes_its_devices_out(world: World, client: Client, rollout_id: str) -> None:
    client.post(f"/rollouts/{rollout_id}/retry", {"deviceIds": ["d-000", "d-120"]})
    assert [item["count"] for item in failures(client, rollout_id)] == [11, 1]
    until(world, lambda: world.rollout(rollout_id).is_over)
    assert failures(client, rollout_id)[0]["count"] == 13


def test_failures_that_an_earlier_release_stored_are_counted_on_reading(
    world: World, client: Client, rollout_id: str
) -> None:
    found = failures(client, rollout_id)
    forget(world, rollout_id, None)
    assert [item | {"example": ""} for item in failures(client, rollout_id)] == [
        item | {"example": ""} for item in found
    ]
    assert "failures" not in client.get("/rollouts").body["value"][0]
    exported = client.get(f"/rollouts/{rollout_id}/export").text
    assert '"failures":[{"code":"reported","count":13' in exported


def test_another_example_is_found_on_reading(world: World, client: Client, rollout_id: str) -> None:
    stored = world.rollout(rollout_id).failures
    assert stored is not None
    forget(world, rollout_id, tuple(replace(item, example=None) for item in stored))
    listed = list_all(client, f"/rollouts/{rollout_id}/devices?errorCode=reported")
    shown = [item["example"] for item in failures(client, rollout_id)]
    assert shown == [listed[0]["deviceId"], SLOW]
    states = client.get(f"/rollouts/{rollout_id}/states").body
    assert states["rollout"]["failures"] == states["failures"]


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_devices_are_listed_by_error_code_and_wave(
    client: Client, rollout_id: str, limit: int
) -> None:
    def listed(query: str) -> list[str]:
        found = list_all(client, f"/rollouts/{rollout_id}/devices?limit={limit}&{query}")
        return [item["deviceId"] for item in found]

    everything = list_all(client, f"/rollouts/{rollout_id}/devices")
    canary = [item["deviceId"] for item in everything if item["wave"] == "canary"]
    failed = [item["deviceId"] for item in everything if item["state"] == "failed"]
    assert (len(canary), len(failed)) == (110, 14)
    reported = [item for item in failed if item != SLOW]
    assert listed("errorCode=reported") == reported
    assert listed("errorCode=reported&state=failed") == reported
    assert listed("errorCode=timedOut") == [SLOW]
    assert listed("errorCode=rejected") == []
    assert listed("wave=canary") == canary
    rest = [item["deviceId"] for item in everything if item["wave"] != "canary"]
    assert listed(f"wave={everything[-1]['wave']}&state=completed") == [
        item for item in rest if item not in failed
    ]
    assert listed("wave=canary&errorCode=reported") == [i for i in canary if i in reported]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("errorCode=ota_failed", "must be one of rejected, unreachable, timedOut"),
        ("errorCode=reported&state=completed", "state is completed, which has none"),
        ("wave=canaries", "has no wave 'canaries'. Its waves: canary, "),
        (f"wave={'w' * 65}", "must have 1 to 64"),
        ("wave=canary&cursor=x", "cursor"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused(
    client: Client, rollout_id: str, query: str, detail: str
) -> None:
    response = client.get(f"/rollouts/{rollout_id}/devices?{query}")
    assert response.status == 422
    assert detail in response.body["detail"]
