"""Check when devices that are not being updated show an outage."""

from datetime import UTC, datetime, timedelta
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.reason import Reason
from functions.rollouts.rollout import control_group
from functions.rollouts.rollout.control_group import Control

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def update(number: int, **more: object) -> DeviceUpdate:
    known = {"wave": 0, "queued_at": NOON, "updated_at": NOON, **more}
    return DeviceUpdate(device_id=f"d-{number}", **known)  # type: ignore[arg-type]


def failed(code: str) -> dict[str, object]:
    return {"state": DeviceState.FAILED, "error": Reason(code=code, message="")}


@given(st.integers(1, 100), st.floats(0.01, 0.99))
def test_a_chance_is_a_binomial_tail(size: int, rate: float) -> None:
    tails = [control_group.chance(size, least, rate) for least in range(size + 2)]
    assert isclose(tails[0], 1)
    assert tails == sorted(tails, reverse=True)
    assert tails[-1] == 0


@pytest.mark.parametrize("expected", [0.5, 0.7, 0.9, 0.98])
@pytest.mark.parametrize("size", [5, 10, 33, 100])
def test_without_an_outage_one_comparison_of_a_hundred_is_wrong_at_most(
    size: int, expected: float
) -> None:
    wrong = 0.0
    for offline in range(size + 1):
        at_least = control_group.chance(size, offline, 1 - expected)
        exactly = at_least - control_group.chance(size, offline + 1, 1 - expected)
        wrong += exactly * control_group.is_gone(Control(None, size, size - offline), expected)
    assert wrong <= control_group.MAX_CHANCE


@pytest.mark.parametrize("size", [5, 100])
def test_a_group_that_is_gone_shows_an_outage(size: int) -> None:
    assert control_group.is_gone(Control(None, size, 0), 0.9)
    assert not control_group.is_back(Control(None, size, 0), 0.9)
    assert control_group.is_back(Control(None, size, size), 0.9)


def test_a_fifth_of_the_devices_is_enough_without_strata() -> None:
    power = sum(
        (control_group.chance(100, n, 0.24) - control_group.chance(100, n + 1, 0.24))
        for n in range(101)
        if control_group.is_gone(Control(None, 100, 100 - n), 0.95)
    )
    assert power >= 0.999


@pytest.mark.parametrize("code", ["wentDark", "timedOut", "unreachable"])
def test_devices_that_are_not_reached_are_suspects(code: str) -> None:
    before = Block(0, (update(1, stratum=3), update(2, stratum=4)))
    lost = before.updates[0]._replace(**failed(code))  # type: ignore[arg-type]
    assert control_group.find_suspects(before, Block(0, (lost, before.updates[1]))) == {3}


@pytest.mark.parametrize("code", ["reported", "reverted", "wrongVersion", "rejected"])
def test_what_a_device_says_itself_is_no_suspect(code: str) -> None:
    before = Block(0, (update(1),))
    said = before.updates[0]._replace(**failed(code))  # type: ignore[arg-type]
    assert not control_group.find_suspects(before, Block(0, (said,)))


def test_many_devices_that_are_left_out_as_offline_are_suspects() -> None:
    before = Block(0, tuple(update(number, stratum=1) for number in range(20)))

    def leave_out(count: int) -> Block:
        skipped = {"state": DeviceState.SKIPPED, "skip_reason": SkipReason.OFFLINE}
        return before.apply(lambda item: item._replace(**skipped), range(count))  # type: ignore[arg-type]

    assert not control_group.find_suspects(before, leave_out(4))
    assert control_group.find_suspects(before, leave_out(5)) == {1}


def test_queued_devices_come_before_completed_ones() -> None:
    queued = [update(number, stratum=0) for number in range(5)]
    ended = NOON - timedelta(hours=1)
    completed = [
        update(number, stratum=0, state=DeviceState.COMPLETED, ended_at=ended)
        for number in range(5, 10)
    ]
    just_now = [update(11, stratum=0, state=DeviceState.COMPLETED, ended_at=NOON)]
    offline = [update(12, stratum=0, offline=True, waiting_since=NOON)]
    groups = control_group.choose(
        [Block(0, (*completed, *queued, *just_now, *offline))], [0], NOON, 100
    )
    assert set(groups[0].device_ids) == {item.device_id for item in queued}
    groups = control_group.choose([Block(0, (*completed, *queued[1:], *just_now))], [0], NOON, 100)
    assert set(groups[0].device_ids) == {item.device_id for item in (*completed, *queued[1:])}


def test_a_stratum_with_too_few_is_compared_with_all() -> None:
    few = [update(number, stratum=0) for number in range(3)]
    others = [update(number, stratum=1) for number in range(3, 300)]
    groups = control_group.choose([Block(0, (*few, *others))], [0, 1], NOON, 100)
    assert groups[0].of_all
    assert not groups[1].of_all
    assert sum(len(group.device_ids) for group in groups.values()) <= 100


def test_the_devices_that_completed_first_are_compared_first() -> None:
    """Those that completed during an outage were not hit by it, and would hide it."""
    completed = [
        update(
            number,
            stratum=0,
            state=DeviceState.COMPLETED,
            ended_at=NOON - timedelta(hours=1, minutes=number),
        )
        for number in range(150)
    ]
    groups = control_group.choose([Block(0, tuple(completed))], [0], NOON, 100)
    assert set(groups[0].device_ids) == {f"d-{number}" for number in range(50, 150)}
