"""The routes of the commands: each runs its own command and records the caller."""

import asyncio
import json
from typing import Any

import pytest
from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import FailureGate, Strategy, WavePlan, percent
from functions.triggers import http_commands
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.routing import CONTEXT
from tests.functions.use_cases.world import World, devices

HOST = "https://app.example/api/rollouts"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(devices(4))
    monkeypatch.setattr(wiring, "services", lambda: made.services)
    return made


def send(command: str, rollout_id: str, word: str) -> HttpResponse:
    request = HttpRequest(
        "POST",
        f"{HOST}/{rollout_id}/{word}?code=a-key",
        route_params={"id": rollout_id},
        body=json.dumps({"by": "ada", "reason": "lunch"}).encode(),
    )
    response: HttpResponse = asyncio.run(getattr(http_commands, command)(request, CONTEXT))
    return response


def shown(response: HttpResponse) -> Any:
    return json.loads(response.get_body())


def test_each_route_runs_its_command(world: World) -> None:
    strategy = Strategy(waves=(WavePlan(size=1), WavePlan(size=1, approval=True)))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(10)
    for function, status, action in (
        ("pause_rollout", "paused", "paused"),
        ("resume_rollout", "running", "resumed"),
        ("approve_rollout", "running", "approved"),
        ("cancel_rollout", "cancelled", "cancelled"),
    ):
        response = send(function, rollout_id, function.removesuffix("_rollout"))
        assert (response.status_code, shown(response)["status"]) == (200, status)
        last = [event for event in world.rollout(rollout_id).audit.events if event.by == "ada"][-1]
        assert (last.action, "lunch" in last.message) == (action, True)


def test_the_retry_route_queues_failed_devices(world: World) -> None:
    world.hub.devices["d-000"].fault = Fault.FAILING
    gate = FailureGate(acceptable=percent(50), unacceptable=percent(99))
    rollout_id = world.create(Strategy(failure_gate=gate)).rollout.id
    world.until_over(rollout_id)
    response = send("retry_rollout", rollout_id, "retry")
    assert (response.status_code, shown(response)["status"]) == (200, "running")
    assert shown(response)["counts"]["queued"] == 1


def test_the_location_of_a_rollback_has_no_key(world: World) -> None:
    world.stores.catalogue.save(Firmware(version="1.0.0", package_uri="https://x.example/1"))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    response = send("roll_back_rollout", rollout_id, "rollback")
    made = shown(response)
    assert (response.status_code, made["rollbackOf"]) == (201, rollout_id)
    assert response.headers["Location"] == f"{HOST}/{made['id']}"


def test_a_command_that_is_not_allowed_or_of_an_unknown_rollout_is_a_problem(world: World) -> None:
    rollout_id = world.create().rollout.id
    assert send("resume_rollout", rollout_id, "resume").status_code == 409
    assert send("pause_rollout", "nowhere", "pause").status_code == 404
