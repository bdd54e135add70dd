"""Check when devices that are not being updated show an outage."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout import control_group, outages
from functions.rollouts.rollout.outage_chance import Control
from tests.functions.builders import make_rollout

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def update(number: int, **more: object) -> DeviceUpdate:
    known = {"wave": 0, "queued_at": NOON, "updated_at": NOON, **more}
    return DeviceUpdate(device_id=f"d-{number}", **known)  # type: ignore[arg-type]


def stratified() -> Rollout:
    """Make a rollout of two strata, of which 95% of the devices are usually connected."""
    few, many = ((40, 38),) * 2, ((200, 190),) * 2
    return make_rollout(strata=("berlin", "paris"), invoked=many, first_invoked=few)


def failed(code: str) -> dict[str, object]:
    return {"state": DeviceState.FAILED, "error": Reason(code=code, message="")}


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


def test_a_part_of_the_fleet_that_is_away_is_an_outage_of_each_stratum() -> None:
    rollout = stratified()
    fleet = Control(None, 100, 60, of_all=True)
    part = Control(0, 10, 9, fleet=fleet)
    assert control_group.judge(rollout, [part], NOON).outages
    assert not control_group.judge(rollout, [replace(part, fleet=None)], NOON).outages
    begun = control_group.judge(rollout, [part], NOON)
    lasting = replace(part, connected=10)
    assert outages.list_open(control_group.judge(begun, [lasting], NOON), AMBIENT)
    back = replace(lasting, fleet=replace(fleet, connected=100))
    assert not outages.list_open(control_group.judge(begun, [back], NOON), AMBIENT)


def test_a_stratum_that_is_away_is_told_from_one_that_misses_a_few() -> None:
    rollout = stratified()
    assert control_group.is_away(rollout, Control(0, 10, 1))
    assert not control_group.is_away(rollout, Control(0, 10, 7))
    assert not control_group.is_away(rollout, Control(0, 10, 1, of_all=True))


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
