"""A device that responds with a temporary status is invoked again; other refusals are final."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.device import invoking
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from functions.rollouts.model.strategy import Retry, RetryOn, Strategy
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import ReserveReport, VirtualDevice, store_at_once
from tests.functions.builders import at, make_moment, make_rollout, make_update
from tests.functions.rollouts.device.under_way import (
    STANDING_BY,
    error_code,
    make_claimed,
    make_in_doubt,
)
from tests.functions.use_cases.world import World, devices

TEMPORARY = (404, 408, 429, 500, 501, 503, 504, 599)
REFUSALS = (100, 199, 300, 400, 401, 403, 405, 410, 413, 422, 499, 600)


def respond(update: DeviceUpdate, status: int, strategy: Strategy | None = None) -> DeviceUpdate:
    outcome = Responded(MethodResponse(status=status, payload={"Response": "no room"}))
    return invoking.record_outcome(make_moment(1, strategy), update, update.attempt, outcome)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_device_that_responds_with_a_temporary_status_is_invoked_again(status: int) -> None:
    update = make_update(state=DeviceState.DISPATCHING, dispatched_at=at(0), not_before=at(90))
    outcome = Responded(MethodResponse(status=status, payload=None))
    after = invoking.record_outcome(make_moment(1, rollout=make_rollout()), update, 1, outcome)
    assert after.state is not DeviceState.FAILED


@pytest.mark.parametrize("status", TEMPORARY)
def test_a_temporary_status_uses_an_attempt_and_keeps_the_words_of_the_device(status: int) -> None:
    update = respond(make_claimed(), status)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 1)
    assert update.not_before == at(31)
    assert update.explanation == (
        f"The device refused the update with status {status}: no room."
        " Attempt 2 of 3 follows in 30 s."
    )


@pytest.mark.parametrize("status", TEMPORARY)
def test_a_device_that_never_gets_over_it_fails_as_unreachable(status: int) -> None:
    update = make_claimed()
    for _ in range(2):
        update = invoking.claim(make_moment(), respond(update, status), STANDING_BY)
    update = respond(update, status)
    assert (update.attempt, error_code(update)) == (3, "unreachable")
    assert f"status {status}: no room" in (update.explanation or "")


def test_a_temporary_status_is_final_if_the_strategy_does_not_retry_unreachable_devices() -> None:
    strategy = Strategy(retry=Retry(on=frozenset({RetryOn.TIMED_OUT, RetryOn.REJECTED})))
    assert error_code(respond(make_claimed(), 503, strategy)) == "unreachable"


def test_a_temporary_status_to_a_repeat_takes_the_next_attempt() -> None:
    """By the device contract, a device responds to the same attempt with the same status."""
    again = invoking.claim(make_moment(), make_in_doubt(), STANDING_BY)
    update = respond(again, 503)
    assert (update.state, update.attempt, update.in_doubt) == (DeviceState.QUEUED, 2, False)


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_final_unless_the_strategy_retries_it(status: int) -> None:
    assert error_code(respond(make_claimed(), status)) == "rejected"
    strategy = Strategy(retry=Retry(attempts=2, on=frozenset({RetryOn.REJECTED})))
    update = respond(make_claimed(), status, strategy)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 1)
    last = invoking.claim(make_moment(), update, STANDING_BY)
    assert error_code(respond(last, status, strategy)) == "rejected"


class _Moody(VirtualDevice):
    """A device that responds with `status` once, and begins the update when invoked again."""

    __slots__ = ("status",)

    def __init__(self, device_id: str, status: int, *, tutorial_only: bool) -> None:
        super().__init__(device_id, tutorial_only=tutorial_only)
        self.status = status

    def receive_method(
        self, payload: Mapping[str, Any], now: float, reserve: ReserveReport = store_at_once
    ) -> MethodResponse:
        if self.status:
            status, self.status = self.status, 0
            return MethodResponse(status=status)
        return super().receive_method(payload, now, reserve)


@pytest.mark.parametrize("status", [404, 408, 429, 500, 501, 503, 504])
@pytest.mark.parametrize("tutorial_only", [False, True])
def test_one_temporary_status_in_a_healthy_rollout_costs_no_device(
    status: int, tutorial_only: bool
) -> None:
    moody = _Moody("moody", status, tutorial_only=tutorial_only)
    world = World([*devices(59), moody])
    created = create(world.services, world.request(strategy=Strategy()), None)
    assert world.until_over(created.rollout.id).counts.completed == 60
    assert len(moody.started) == 1
    waited = world.update(created.rollout.id, "moody")
    assert waited.attempt == 2
    assert waited.ended_at is not None
    assert waited.ended_at - waited.queued_at < timedelta(minutes=5)
