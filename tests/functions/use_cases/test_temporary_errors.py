"""Temporary errors of the hub or of a device do not fail a healthy device."""

import json
from typing import Any

import pytest

from functions.hub_gateway import method_errors
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Retry, RetryOn, Strategy
from functions.use_cases.create import create
from simulator.hub.model.traffic import FAULT_STATUSES
from tests.functions.hub_gateway.test_method_errors import error_response
from tests.functions.use_cases.world import World, devices

STATUSES = (404, 408, 429, 500, 501, 503, 504)
HEALTHY = 60
# A code that the hub adds to the status; None: a gateway before the hub responds without one.
CODES = {404: (404001, 404103, 404104, None), 504: (504101, None), 500: (500001, 500008, None)}
HUB_RESPONSES = [(status, code) for status in STATUSES for code in CODES.get(status, (None,))]


def hub_outcome(status: int, code: int | None) -> MethodOutcome:
    """Return the outcome that the gateway makes of an error response of the hub."""
    body = "" if code is None else {"Message": json.dumps({"errorCode": code})}
    return method_errors.outcome_of(error_response(status, body))


def run(outcomes: list[MethodOutcome], affected: int, count: int = HEALTHY, **more: Any) -> World:
    """Run a rollout in which the next method calls of `affected` devices have `outcomes`."""
    strategy = more.pop("strategy", Strategy())
    world = World(devices(count, **more))
    names = list(world.hub.devices)[:affected]
    world.hub.scripted_outcomes = {name: list(outcomes) for name in names}
    request = world.request(strategy=strategy)
    rollout_id = create(world.services, request, None).rollout.id
    ended = world.until_over(rollout_id, ticks=900)
    failed = [item for item in world.updates(rollout_id) if item.state.value != "completed"]
    assert not failed, failed[0].explanation
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, count)
    assert all(len(item.started) == 1 for item in world.hub.devices.values())
    return world


@pytest.mark.parametrize(("status", "code"), HUB_RESPONSES)
@pytest.mark.parametrize("affected", [1, 6])
def test_one_error_of_the_hub_fails_no_device(status: int, code: int | None, affected: int) -> None:
    run([hub_outcome(status, code)], affected)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("affected", [1, 6])
def test_one_such_response_of_a_device_fails_no_device(status: int, affected: int) -> None:
    run([Responded(MethodResponse(status=status))], affected)


@pytest.mark.parametrize(
    "outcome",
    [
        Lost("The hub failed (500).", hub_failed=True),
        NotDelivered("429", throttled=True),
        DeviceUnknown(),
        DeviceOffline(),
    ],
)
def test_failures_of_the_hub_use_up_no_attempt_however_many_there_are(
    outcome: MethodOutcome,
) -> None:
    run([outcome] * 5, affected=6)


@pytest.mark.parametrize(("status", "code"), [(500, None), (503, None), (404, 404001)])
def test_an_error_of_the_hub_fails_no_device_of_a_strategy_without_retries(
    status: int, code: int | None
) -> None:
    """Allow one attempt only, or no retry of unreachable devices: both are about the device."""
    outcome = [hub_outcome(status, code)]
    run(outcome, 1, strategy=Strategy(retry=Retry(attempts=1)))
    run(outcome, 1, strategy=Strategy(retry=Retry(on=frozenset({RetryOn.TIMED_OUT}))))


@pytest.mark.parametrize("code", [404001, 404103])
def test_one_404_does_not_skip_a_connected_device_of_a_strategy_that_does_not_wait(
    code: int,
) -> None:
    offline = Offline(policy=OfflinePolicy.SKIP)
    run([hub_outcome(404, code)], 6, strategy=Strategy(offline=offline))


@pytest.mark.parametrize(("status", "code"), [(404, 404001), (503, None), (504, 504101)])
def test_an_error_of_the_hub_starts_no_second_update_of_a_tutorial_device(
    status: int, code: int | None
) -> None:
    """The method is sent again only after a whole timeout without any sign of the first one."""
    world = run([hub_outcome(status, code)], 2, count=4, tutorial_only=True)
    assert all(item.overlaps == 0 for item in world.hub.devices.values())


@pytest.mark.parametrize("count", [5, HEALTHY])
def test_one_twin_read_that_misses_each_device_loses_none(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(devices(count))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    read_twins = world.hub.read_twins
    missed: set[str] = set()

    def miss_once(ids: Any) -> Any:
        found = dict(read_twins(ids))
        new = [item for item in ids if item not in missed]
        missed.update(new)
        return {**found, **dict.fromkeys(new)}

    monkeypatch.setattr(world.hub, "read_twins", miss_once)
    assert world.until_over(rollout_id).counts.completed == count


def test_the_local_hub_can_cause_each_of_these_errors() -> None:
    assert set(STATUSES) <= FAULT_STATUSES
