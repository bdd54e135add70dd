"""The doors to the commands, with a rollout behind them: each does its own, and says who asked."""

import json
from typing import Any

import pytest
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import FailureGate, Strategy, WavePlan, percent
from functions.triggers import http_commands
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, devices

HOST = "https://app.example/api/rollouts"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(devices(4))
    monkeypatch.setattr(wiring, "services", lambda: made.services)
    return made


def asked(door: str, rollout_id: str, word: str) -> HttpResponse:
    request = HttpRequest(
        "POST",
        f"{HOST}/{rollout_id}/{word}?code=a-key",
        route_params={"id": rollout_id},
        body=json.dumps({"by": "ada", "reason": "lunch"}).encode(),
    )
    response: HttpResponse = getattr(http_commands, door)(request)
    return response


def shown(response: HttpResponse) -> Any:
    return json.loads(response.get_body())


def test_each_command_does_what_its_door_says(world: World) -> None:
    strategy = Strategy(waves=(WavePlan(size=1), WavePlan(size=1, approval=True)))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(10)
    for door, status, action in (
        ("pause_rollout", "paused", "paused"),
        ("resume_rollout", "running", "resumed"),
        ("approve_rollout", "running", "approved"),
        ("cancel_rollout", "cancelled", "cancelled"),
    ):
        response = asked(door, rollout_id, door.removesuffix("_rollout"))
        assert (response.status_code, shown(response)["status"]) == (200, status)
        last = [event for event in world.rollout(rollout_id).audit.events if event.by == "ada"][-1]
        assert (last.action, "lunch" in last.message) == (action, True)


def test_a_retry_is_asked_for_by_its_door(world: World) -> None:
    world.hub.devices["d-000"].fault = Fault.FAILING
    gate = FailureGate(acceptable=percent(50), unacceptable=percent(99))
    rollout_id = world.create(Strategy(failure_gate=gate)).rollout.id
    world.until_over(rollout_id)
    response = asked("retry_rollout", rollout_id, "retry")
    assert (response.status_code, shown(response)["status"]) == (200, "running")
    assert shown(response)["counts"]["queued"] == 1


def test_a_rollback_says_where_it_is_and_passes_no_key_on(world: World) -> None:
    world.stores.catalogue.save(Firmware(version="1.0.0", package_uri="https://x.example/1"))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    response = asked("roll_back_rollout", rollout_id, "rollback")
    made = shown(response)
    assert (response.status_code, made["rollbackOf"]) == (201, rollout_id)
    assert response.headers["Location"] == f"{HOST}/{made['id']}"


def test_a_command_that_is_not_allowed_or_of_no_rollout_is_a_problem(world: World) -> None:
    rollout_id = world.create().rollout.id
    assert asked("resume_rollout", rollout_id, "resume").status_code == 409
    assert asked("pause_rollout", "nowhere", "pause").status_code == 404
