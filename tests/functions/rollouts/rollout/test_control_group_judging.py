"""What a compared group begins, renews or ends, and which devices are suspects or compared."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT, HUB, Outage
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy
from functions.rollouts.rollout import control_group, outages
from functions.rollouts.rollout.outage_chance import MIN_SIZE, Control
from tests.functions.builders import NOON, at, make_rollout, make_update

AWAY = Control(1, 10, 1)
BACK = Control(1, 10, 10)
TOO_FEW = Control(1, MIN_SIZE - 1, 0)
SHORT = Strategy(offline=Offline(deadline=timedelta(hours=1)))


def make_learned(**values: Any) -> Rollout:
    """Make a rollout of two strata, of which 95% and 90% of the devices are usually connected."""
    known: dict[str, Any] = {"invoked": ((200, 190), (200, 180))}
    known |= {"first_invoked": ((40, 38), (40, 36)), "strata": ("berlin", "paris")}
    return make_rollout(**(known | values))


def judge(rollout: Rollout, control: Control, seconds: float = 60) -> Rollout:
    return control_group.judge(rollout, [control], at(seconds))


# -- outages ---------------------------------------------------------------------------------


def test_a_stratum_that_is_away_begins_an_outage_of_its_own() -> None:
    found = judge(make_learned(), AWAY)
    (outage,) = found.outages
    assert (outage.code, outage.stratum) == (AMBIENT, 1)
    assert (outage.since, outage.checked_at) == (at(60), at(60))
    assert outage.message == (
        "9 of 10 devices of paris that are not being updated are offline too; usually 90% are"
        " connected. Nothing starts, and devices that are not reached do not count, until they"
        " are back."
    )
    renewed = judge(found, replace(AWAY, connected=2), 120)
    assert [(item.since, item.checked_at) for item in renewed.outages] == [(at(60), at(120))]
    assert renewed.outages[0].message.startswith("8 of 10 devices of paris")


def test_an_outage_ends_once_its_own_stratum_is_back() -> None:
    begun = judge(make_learned(), AWAY)
    assert outages.list_open(judge(begun, replace(BACK, stratum=0), 120), AMBIENT)
    ended = judge(begun, BACK, 120)
    assert [item.until for item in ended.outages] == [at(120)]
    last = ended.audit.events[-1].message
    assert last.startswith("After 1 min. The devices that are not being updated are connected")


def test_an_outage_lasts_although_fewer_are_away_than_it_takes_to_begin_one() -> None:
    some = replace(AWAY, connected=6)
    assert not judge(make_learned(), some).outages
    begun = judge(make_learned(), AWAY)
    assert outages.list_open(judge(begun, some, 120), AMBIENT)


def test_devices_of_all_strata_are_told_without_the_name_of_one() -> None:
    of_all = Control(1, 100, 40, of_all=True)
    (outage,) = judge(make_learned(), of_all).outages
    assert outage.message.startswith("60 of 100 devices that are not being updated are offline")
    (unstratified,) = judge(make_learned(), Control(None, 10, 1)).outages
    assert unstratified.message.startswith("9 of 10 devices that are not being")


def test_two_groups_must_each_be_twice_as_improbable() -> None:
    """The chance of 5 offline of 11 is 0.7%, and of 4 offline of 13 it is 8%."""
    fleet = Control(None, 100, 98, of_all=True)
    begins, lasts = Control(1, 11, 6), Control(1, 13, 9)
    assert judge(make_learned(), begins).outages
    assert not judge(make_learned(), replace(begins, fleet=fleet)).outages
    begun = judge(make_learned(), AWAY)
    assert outages.list_open(judge(begun, replace(lasts, fleet=fleet), 120), AMBIENT) == []
    assert outages.list_open(judge(begun, lasts, 120), AMBIENT)


def test_a_group_of_all_strata_is_compared_with_what_is_usual_for_all() -> None:
    """No device of this stratum was invoked yet, so its own share is a guess."""
    known: dict[str, Any] = {"invoked": ((200, 190), (0, 0)), "first_invoked": ((40, 38), (0, 0))}
    rollout, part = make_learned(**known), Control(1, 100, 75)
    assert not judge(rollout, part).outages
    (outage,) = judge(rollout, replace(part, of_all=True)).outages
    assert "usually 95% are connected" in outage.message


def test_too_few_devices_end_an_outage_and_are_told_once() -> None:
    told = judge(make_learned(), TOO_FEW)
    assert told.outage_unchecked
    event = told.audit.events[-1]
    assert (event.at, event.action) == (at(60), "outageUnchecked")
    assert event.message == (
        "Devices that are not reached count as failed: only 4 devices are not being updated, and"
        " at least 5 are needed to tell an outage from bad firmware."
    )
    assert judge(told, TOO_FEW, 120) is told
    ended = judge(judge(make_learned(), AWAY), TOO_FEW, 120)
    assert [item.until for item in ended.outages] == [at(120)]
    assert "only 4 devices are not being updated" in ended.audit.events[-1].message
    assert judge(make_learned(), replace(AWAY, size=MIN_SIZE, connected=0)).outages


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (OfflinePolicy.WAIT, "count as failed: only"),
        (OfflinePolicy.SKIP, "are skipped, or count as failed: only"),
    ],
)
def test_the_end_of_devices_that_are_not_reached_follows_the_offline_policy(
    policy: OfflinePolicy, words: str
) -> None:
    strategy = Strategy(offline=Offline(policy=policy))
    told = judge(make_learned(strategy=strategy), TOO_FEW)
    assert f"Devices that are not reached {words}" in told.audit.events[-1].message


@pytest.mark.parametrize(
    ("past", "seconds", "begins"),
    [
        ({"until": at(3600)}, 9000, False),
        ({"until": at(3599)}, 9000, True),
        ({"until": at(3600), "stratum": 0}, 9000, True),
        ({"until": at(3600), "code": HUB}, 9000, True),
    ],
)
def test_no_outage_begins_after_one_that_lasted_as_long_as_devices_are_waited_for(
    past: dict[str, Any], seconds: float, *, begins: bool
) -> None:
    known: dict[str, Any] = {"code": AMBIENT, "message": "", "since": NOON, "stratum": 1}
    rollout = make_learned(strategy=SHORT, outages=(Outage(**(known | past)),))
    assert bool(outages.list_open(judge(rollout, AWAY, seconds), AMBIENT)) is begins


def test_an_outage_that_lasts_too_long_ends_and_says_so() -> None:
    begun = judge(make_learned(strategy=SHORT), AWAY, 0)
    assert outages.list_open(judge(begun, AWAY, 3599), AMBIENT)
    ended = judge(begun, AWAY, 3600)
    assert [item.until for item in ended.outages] == [at(3600)]
    assert "It lasted as long as offline devices are waited for (1 h): devices that are not" in (
        ended.audit.events[-1].message
    )


# -- suspects --------------------------------------------------------------------------------


def find(old: DeviceUpdate, new: DeviceUpdate) -> frozenset[int | None]:
    return control_group.find_suspects(Block(0, (old,)), Block(0, (new,)))


@pytest.mark.parametrize(
    ("state", "used", "reported", "is_suspect"),
    [
        (DeviceState.ACCEPTED, 1, None, True),
        (DeviceState.APPLYING, 1, "applying", True),
        (DeviceState.APPLYING, 0, "applying", False),  # no attempt is lost
        (DeviceState.APPLYING, 1, "failed", False),  # the device itself reported it
        (DeviceState.DISPATCHING, 1, None, False),
        (DeviceState.SOAKING, 1, None, False),
    ],
)
def test_a_running_device_that_loses_its_attempt_is_a_suspect(
    state: DeviceState, used: int, reported: str | None, *, is_suspect: bool
) -> None:
    old = make_update(state=state, stratum=3)
    new = old._replace(state=DeviceState.QUEUED, attempts_used=used, firmware_status=reported)
    assert find(old, new) == ({3} if is_suspect else frozenset())


def test_a_device_that_goes_on_is_no_suspect() -> None:
    old = make_update(state=DeviceState.ACCEPTED)
    assert not find(old, old._replace(state=DeviceState.DOWNLOADING, attempts_used=1))
    lost = make_update(state=DeviceState.FAILED, error=Reason(code="timedOut", message=""))
    assert not find(lost, lost._replace(attempts_used=1))


@pytest.mark.parametrize(("skipped", "is_suspect"), [(9, False), (10, True)])
def test_half_of_the_devices_that_moved_must_be_left_out(skipped: int, *, is_suspect: bool) -> None:
    before = Block(0, tuple(make_update(f"d-{n}", stratum=1) for n in range(30)))
    offline = {"state": DeviceState.SKIPPED, "skip_reason": SkipReason.OFFLINE}
    left_out = before.apply(lambda item: item._replace(**offline), range(skipped))  # type: ignore[arg-type]
    after = left_out.apply(
        lambda item: item._replace(state=DeviceState.DISPATCHING), range(skipped, 20)
    )
    assert bool(control_group.find_suspects(before, after)) is is_suspect


# -- the choice ------------------------------------------------------------------------------


def queued(count: int, stratum: int | None = 0, first: int = 0) -> list[DeviceUpdate]:
    return [make_update(f"q-{n}", stratum=stratum) for n in range(first, first + count)]


def completed(count: int, stratum: int, ended: datetime) -> list[DeviceUpdate]:
    state = DeviceState.COMPLETED
    return [
        make_update(f"c{stratum}-{n}", stratum=stratum, state=state, ended_at=ended)
        for n in range(count)
    ]


def choose(updates: list[DeviceUpdate], *strata: int, rows: int = 100) -> control_group.Group:
    return control_group.choose([Block(0, tuple(updates))], strata, NOON, rows)[strata[0]]


def test_a_device_that_completed_a_quarter_of_an_hour_ago_is_compared() -> None:
    long_ago = completed(5, 0, NOON - control_group.LONG_AGO)
    assert len(choose(long_ago, 0).device_ids) == 5
    just_now = completed(5, 0, NOON - control_group.LONG_AGO + timedelta(seconds=1))
    assert not choose(just_now, 0).device_ids


def test_completed_devices_of_the_same_stratum_are_compared_with_it() -> None:
    hour_ago = NOON - timedelta(hours=1)
    group = choose([*completed(5, 0, hour_ago), *completed(9, 1, hour_ago)], 0)
    assert (sorted(group.device_ids), group.of_all) == ([f"c0-{n}" for n in range(5)], False)


def test_a_stratum_with_four_devices_is_compared_with_all() -> None:
    hour_ago = NOON - timedelta(hours=1)
    group = choose([*queued(4), *completed(9, 1, hour_ago)], 0)
    assert (len(group.device_ids), group.of_all) == (13, True)
    enough = choose([*queued(2), *queued(3, 1, 2), *completed(9, 1, hour_ago)], 0)
    assert sorted(enough.device_ids) == [f"q-{n}" for n in range(5)]


def test_queued_devices_are_spread_over_the_whole_block() -> None:
    assert list(choose(queued(20), 0, rows=5).device_ids) == ["q-0", "q-4", "q-8", "q-12", "q-16"]
    of_all = choose(queued(20, 1), 0, rows=5)
    assert (list(of_all.device_ids), of_all.of_all) == (["q-0", "q-4", "q-8", "q-12", "q-16"], True)


@pytest.mark.parametrize(("rows", "of_all"), [(9, True), (10, False)])
def test_strata_that_would_have_less_than_five_devices_each_share_a_group(
    rows: int, *, of_all: bool
) -> None:
    updates = [*queued(20), *queued(20, 1, 20)]
    assert choose(updates, 0, 1, rows=rows).of_all is of_all


def test_a_stratum_is_away_by_what_is_usual_for_it() -> None:
    rollout = make_learned(invoked=((200, 190), (200, 20)), first_invoked=((40, 38), (40, 4)))
    assert control_group.is_away(rollout, Control(0, 10, 1))
    assert not control_group.is_away(rollout, Control(1, 10, 1))
    assert not judge(rollout, Control(1, 10, 1)).outages
