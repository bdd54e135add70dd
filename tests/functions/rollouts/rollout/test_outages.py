"""Begin and end outages, and say what a rollout waits for."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import FreezeMatches, Lease
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.outage import ACCESS, AMBIENT, DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.pending_retry import PendingRetry
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, Window
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import outages, waits
from tests.functions.builders import NOON, at, make_rollout, make_wave
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

WAITING = Reason(code="waitingForDevices", message="3 devices wait.")
OTHER = Reason(code="awaitingApproval", message="Wave rest waits for approval.")


def outage(code: str, message: str = "", **values: Any) -> Outage:
    return Outage(code=code, message=message or f"{code}.", **({"since": NOON} | values))


def begin(rollout: Rollout, *begun: Outage) -> Rollout:
    for item in begun:
        rollout = outages.begin(rollout, at(60), item)
    return rollout


def list_events(rollout: Rollout) -> list[tuple[str, str]]:
    return [(event.action, event.message) for event in rollout.audit.events]


def code_of(rollout: Rollout) -> str | None:
    return rollout.status_reason.code if rollout.status_reason else None


# -- begin and end ---------------------------------------------------------------------------


def test_an_outage_begins_once_and_its_message_is_renewed() -> None:
    begun = begin(make_rollout(), outage(HUB, "5 of 5 calls."))
    assert begun.status_reason == Reason(code=HUB, message="5 of 5 calls.")
    assert list_events(begun) == [("outageBegan", "5 of 5 calls.")]
    assert begun.audit.events[0].at == at(60)
    assert begin(begun, outage(HUB, "5 of 5 calls.", since=at(50))) is begun
    renewed = begin(begun, outage(HUB, "8 of 8 calls.", since=at(50)))
    assert renewed.outages == (outage(HUB, "8 of 8 calls."),)
    assert renewed.status_reason == Reason(code=HUB, message="8 of 8 calls.")
    assert len(renewed.audit.events) == 1


def test_a_hub_that_fails_and_then_refuses_has_one_outage_and_two_events() -> None:
    both = begin(make_rollout(), outage(HUB), outage(ACCESS, since=at(50)))
    assert both.outages == (outage(ACCESS),)
    assert list_events(both) == [("outageBegan", f"{HUB}."), ("outageBegan", f"{ACCESS}.")]
    back = begin(both, outage(HUB, since=at(55)))
    assert back.outages == (outage(HUB),)
    assert outages.find_hub_outage(back) == outage(HUB)


def test_other_outages_last_beside_that_of_the_hub() -> None:
    first, second = outage(AMBIENT, stratum=0), outage(AMBIENT, stratum=1)
    found = begin(make_rollout(), first, outage(HUB), second, outage(DAILY_QUOTA))
    assert found.outages == (first, outage(HUB), second, outage(DAILY_QUOTA))
    assert outages.list_open(found, AMBIENT) == [first, second]
    assert outages.find_open(found, AMBIENT, 1) == second
    assert outages.find_open(found, AMBIENT) is None
    renewed = begin(found, outage(AMBIENT, "More.", stratum=1))
    assert renewed.outages[2] == outage(AMBIENT, "More.", stratum=1)
    assert renewed.outages[:2] == found.outages[:2]


def test_only_the_latest_outages_are_kept() -> None:
    known = tuple(outage(HUB, since=at(n), until=at(n)) for n in range(outages.MAX_OUTAGES))
    found = begin(make_rollout(outages=known), outage(AMBIENT))
    assert found.outages == (*known[1:], outage(AMBIENT))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (ACCESS, "The hub accepts this app again."),
        (HUB, "The hub responds again."),
        (DAILY_QUOTA, "The hub has messages for rollouts again."),
        (AMBIENT, "The devices that are not being updated are connected again."),
    ],
)
def test_the_end_of_an_outage_tells_how_long_it_lasted_and_what_goes_on(
    code: str, message: str
) -> None:
    ended = outages.end(begin(make_rollout(), outage(code)), at(90), code)
    assert ended.outages == (outage(code, until=at(90)),)
    assert ended.status_reason is None
    assert list_events(ended)[-1] == (
        "outageEnded",
        f"After 1 min 30 s. {message} The rollout goes on.",
    )
    assert outages.end(ended, at(99), code) is ended
    paused = replace(begin(make_rollout(), outage(code)), status=RolloutStatus.PAUSED)
    assert list_events(outages.end(paused, at(90), code))[-1][1].endswith(message)


def test_a_rollout_does_not_go_on_while_another_outage_lasts() -> None:
    both = begin(make_rollout(), outage(HUB), outage(AMBIENT, stratum=1))
    ended = outages.end(both, at(90), HUB)
    assert list_events(ended)[-1][1] == "After 1 min 30 s. The hub responds again."
    assert ended.outages == (outage(HUB, until=at(90)), outage(AMBIENT, stratum=1))
    assert code_of(ended) == AMBIENT
    assert outages.end(both, at(90), AMBIENT) is both
    why = outages.end(both, at(90), AMBIENT, 1, "Too few devices.")
    assert list_events(why)[-1][1] == "After 1 min 30 s. Too few devices."


# -- what is shown ---------------------------------------------------------------------------


def test_the_outage_that_concerns_most_is_shown() -> None:
    rollout = make_rollout()
    for code in (AMBIENT, DAILY_QUOTA, HUB, ACCESS):
        rollout = replace(rollout, outages=(*rollout.outages, outage(code)))
        assert code_of(outages.show(rollout)) == code


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_outages_of_three_strata_are_named(count: int) -> None:
    found = tuple(outage(AMBIENT, f"Stratum {n}.", stratum=n) for n in range(count))
    again = outage(AMBIENT, "Stratum 0.", stratum=99)
    reason = outages.current_reason(make_rollout(outages=(*found, again)), AMBIENT)
    expected = " ".join(f"Stratum {n}." for n in range(min(3, count)))
    if count > 3:
        expected += f" The same holds for {count - 3} more strata."
    assert reason == Reason(code=AMBIENT, message=expected)
    assert outages.current_reason(make_rollout(outages=found), HUB) is None


@pytest.mark.parametrize(
    ("status", "shown", "during", "after"),
    [
        (RolloutStatus.RUNNING, None, HUB, None),
        (RolloutStatus.RUNNING, WAITING, HUB, WAITING),
        (RolloutStatus.RUNNING, OTHER, OTHER.code, OTHER),
        (RolloutStatus.PAUSED, WAITING, WAITING.code, WAITING),
        (RolloutStatus.RUNNING, Reason(code=AMBIENT, message=""), HUB, None),
    ],
)
def test_an_outage_hides_no_reason_that_needs_a_person(
    status: RolloutStatus, shown: Reason | None, during: str, after: Reason | None
) -> None:
    rollout = make_rollout(status=status, status_reason=shown)
    assert code_of(outages.show(replace(rollout, outages=(outage(HUB),)))) == during
    assert outages.show(rollout).status_reason == after


# -- waits -----------------------------------------------------------------------------------

CLOSED = Strategy(window=Window(start=time(13), end=time(14), timezone="UTC"))


def make_waiting(**values: Any) -> Rollout:
    """Make a rollout with two devices that were leased and wait."""
    return make_rollout(make_wave(3, counts=Counts(queued=2, completed=1), leased=3), **values)


def test_devices_of_open_waves_wait_if_nothing_is_under_way() -> None:
    reason = waits.show(make_waiting(), NOON).status_reason
    assert reason is not None
    assert reason.code == "waitingForDevices"
    assert reason.message.startswith("2 devices wait, and none is updating")
    one = make_wave(1, leased=1)
    reason = waits.show(make_rollout(one), NOON).status_reason
    assert reason is not None
    assert reason.message.startswith("1 device waits, and none")


LEASE = Lease(number=1, block=0, devices=DeviceSet.of([0]), until=at(9))
MATCH = FreezeMatches(block=0, devices=DeviceSet.of([0]), revision=1, until=at(9))


@pytest.mark.parametrize(
    "values",
    [
        {"ready": {0: DeviceSet.of([0])}},
        {"repeats": {0: DeviceSet.of([0])}},
        {"leases": (LEASE,)},
        {"freeze_matches": (MATCH,)},
        {"retry": PendingRetry(states=frozenset(), devices=None)},
        {"joining": Joining(found=(TargetDevice("a"),))},
        {"waves": (make_wave(3, counts=Counts(queued=2, updating=1), leased=3),)},
        {"waves": (make_wave(3, counts=Counts(queued=2, soaking=1), leased=3),)},
        {"waves": (make_wave(3, leased=2),)},
        {"waves": (make_wave(3, counts=Counts(completed=3), leased=3),)},
        {"waves": (make_wave(3, leased=3, status=WaveStatus.PENDING),)},
        {"status": RolloutStatus.PAUSED},
    ],
)
def test_a_rollout_with_work_to_do_waits_for_nothing(values: dict[str, Any]) -> None:
    rollout = make_waiting(**values)
    assert waits.show(rollout, NOON) is rollout


def test_a_wave_that_has_not_opened_is_no_work() -> None:
    pending = make_wave(2, first=3, status=WaveStatus.PENDING, name="rest")
    opened = make_waiting().waves[0]
    found = waits.show(make_waiting(waves=(opened, pending)), NOON).status_reason
    assert found is not None
    assert found.message.startswith("2 devices wait, and")


def test_devices_of_frozen_strata_do_not_wait_for_devices() -> None:
    wave = make_stratified_wave(make_part(queued=2), make_part(queued=3), leased=5)
    found = waits.show(freeze(make_stratified(wave), SMALL), NOON).status_reason
    assert found is not None
    assert found.message.startswith("2 devices wait, and")


def test_devices_wait_for_the_maintenance_window_before_anything_else() -> None:
    updating = make_wave(3, counts=Counts(queued=2, updating=1), leased=1)
    found = waits.show(make_rollout(updating, strategy=CLOSED), NOON).status_reason
    message = "2 devices wait for the maintenance window, which opens at 2026-11-23T13:00:00Z."
    assert found == Reason(code="window", message=message)
    during = NOON + timedelta(hours=1)
    assert waits.show(make_rollout(updating, strategy=CLOSED), during).status_reason is None


def test_a_wait_is_shown_only_if_there_is_no_other_reason_and_cleared_alone() -> None:
    rollout = make_waiting(status_reason=OTHER)
    assert waits.show(rollout, NOON) is rollout
    assert waits.clear(rollout) is rollout
    assert waits.clear(make_waiting()).status_reason is None
    for code in ("window", "waitingForDevices"):
        reason = Reason(code=code, message="")
        assert waits.clear(make_waiting(status_reason=reason)).status_reason is None
