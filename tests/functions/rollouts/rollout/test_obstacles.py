"""Each thing that alone keeps a device from starting, with the words of its reason."""

from typing import Any

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.outage import ACCESS, AMBIENT, DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.strategy import Strategy, percent
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import permission
from tests.functions.builders import NOON, at, make_rollout, make_update, make_wave
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

EXPIRED = Firmware(version="2.4.0", package_uri="https://x/fw?se=2026-11-23T12:00:00Z&sig=b2xk")
FREEZE = Freeze(revision=1, reason="Holiday.", by="ada", since=NOON)


def outage(code: str) -> Outage:
    return Outage(code=code, message=f"The {code}.", since=NOON)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"freeze": FREEZE}, "frozen"),
        ({"outages": (outage(DAILY_QUOTA),)}, DAILY_QUOTA),
        ({"outages": (outage(AMBIENT),)}, AMBIENT),
        ({"firmware": EXPIRED}, "packageUriExpires"),
        ({"outages": (outage(HUB),)}, None),  # the breaker still sends a few methods
    ],
)
def test_each_of_these_alone_keeps_a_device_from_starting(
    values: dict[str, Any], code: str | None
) -> None:
    reason = permission.obstacle(make_rollout(**values), 0, at(60))
    assert (reason.code if reason else None) == code


def test_a_device_waits_for_its_own_stratum_and_then_for_the_rollout() -> None:
    parts = make_part(queued=1), make_part(queued=1)
    rollout = freeze(make_stratified(make_stratified_wave(*parts)), SMALL)
    small, large = make_update(stratum=SMALL), make_update(stratum=LARGE)
    reason = permission.wait_reason(rollout, small, at(60))
    assert reason is not None
    assert reason.message == "stratum small is frozen. Too many failed."
    assert permission.wait_reason(rollout, large, at(60)) is None


@pytest.mark.parametrize("code", [ACCESS, HUB])
def test_a_queued_device_tells_that_the_hub_keeps_it(code: str) -> None:
    rollout = make_rollout(outages=(outage(code),))
    assert permission.explanation(rollout, make_update(), at(60)) == f"Waiting: The {code}."


def test_a_wave_that_was_passed_still_starts_its_devices() -> None:
    for status in (WaveStatus.FAILED, WaveStatus.COMPLETED):
        for passed in (True, False):
            rollout = make_rollout(make_wave(2, status=status, passed=passed))
            assert (permission.obstacle(rollout, 0, at(60)) is None) is passed


def test_a_share_is_named_before_min_completed_if_both_need_as_many() -> None:
    strategy = Strategy(success_share=percent(25), min_completed=percent(25))
    rollout = make_rollout(
        make_wave(8, name="canary"),
        make_wave(2, name="rest", status=WaveStatus.PENDING),
        strategy=strategy,
    )
    assert permission.opening_obstacle(rollout, 1) == Reason(
        code="earlierWave",
        message="wave rest opens when 25% of wave canary completed: 2 of 8, now 0.",
    )


def test_the_limit_of_devices_in_flight_is_told_with_its_numbers() -> None:
    wave = make_wave(5, counts=Counts(queued=3, updating=2))
    rollout = make_rollout(wave, strategy=Strategy(max_in_flight=2))
    assert permission.obstacle(rollout, 0, at(60)) == Reason(
        code="maxInFlight", message="2 devices of at most 2 in flight at once."
    )
