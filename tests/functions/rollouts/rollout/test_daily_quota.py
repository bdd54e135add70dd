"""What a rollout reserves of the day's messages, and when it waits for the next day."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.outage import DAILY_QUOTA, Outage
from functions.rollouts.model.quotas import Budget, Tier, quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.usage import MessageCosts, Usage
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import daily_quota
from functions.rollouts.rollout.daily_quota import DayLeft, Wait
from tests.functions.builders import NOON, at, make_rollout, make_wave

LIMITS = quotas(Tier.S1, 1, daily_share=0.001)  # 400 messages a day
COSTS = MessageCosts(method=4, twin=2)
SOAK = Strategy(soak=timedelta(hours=1))
WAITING = Outage(code=DAILY_QUOTA, message="", since=NOON)


def lease(*indexes: int) -> Lease:
    return Lease(number=1, block=0, devices=DeviceSet.of(indexes), until=at(90))


def left(messages: float, reserved: float = 0, refused_until: datetime | None = None) -> DayLeft:
    return DayLeft(left=messages, reserved=reserved, refused_until=refused_until, costs=COSTS)


def find(rollout: Rollout, day: DayLeft) -> Wait | None:
    return daily_quota.find_wait(rollout, day, LIMITS, NOON)


# -- what updates take -----------------------------------------------------------------------


def test_an_update_takes_its_method_its_twins_and_its_reports() -> None:
    assert daily_quota.update_cost(make_rollout(), COSTS) == 4 + 2 + 2 + 3
    assert daily_quota.update_cost(make_rollout(strategy=SOAK), COSTS) == 4 + 2 + 5 * 2 + 3


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(Strategy(), 3 * 11 + 5 * (2 + 3)), (SOAK, 3 * 19 + 5 * (2 + 8 + 3) + 7 * 8)],
)
def test_devices_that_are_leased_updating_or_soaking_have_messages_reserved(
    strategy: Strategy, expected: float
) -> None:
    counts = Counts(queued=9, updating=5, soaking=7)
    values: dict[str, Any] = {"leases": (lease(0), lease(1, 2)), "strategy": strategy}
    assert daily_quota.reserve(make_rollout(make_wave(21, counts=counts), **values), COSTS) == (
        expected
    )
    over = make_rollout(make_wave(21, counts=counts), ended_at=at(1), **values)
    assert daily_quota.reserve(over, COSTS) == 0


# -- when a rollout waits --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "wait"),
    [
        (left(11), None),
        (left(10.5), Wait.STARTS),
        (left(30, reserved=20), Wait.STARTS),
        (left(31, reserved=20), None),
        (left(0), Wait.ALL),
        (left(0.5), Wait.STARTS),
        (left(-1, reserved=-20), Wait.ALL),
        (left(0, refused_until=at(1)), Wait.REFUSED),
        (left(99, refused_until=at(1)), Wait.REFUSED),
        (left(99, refused_until=NOON), None),
    ],
)
def test_a_rollout_waits_if_the_next_update_does_not_fit_into_the_day(
    day: DayLeft, wait: Wait | None
) -> None:
    assert find(make_rollout(make_wave(1)), day) is wait


def test_a_rollout_that_waits_goes_on_once_a_twentieth_of_the_day_is_free() -> None:
    waiting = make_rollout(make_wave(5), outages=(WAITING,))
    assert daily_quota.is_waiting(waiting)
    assert not daily_quota.is_waiting(make_rollout())
    assert find(waiting, left(19.5)) is Wait.STARTS
    assert find(waiting, left(20)) is None
    dear = daily_quota.find_wait(waiting, left(20), quotas(Tier.S1, 1, daily_share=0.0001), NOON)
    assert dear is None  # an update takes more than a twentieth of 40
    assert find(make_rollout(make_wave(5)), left(19.5)) is None


def test_a_rollout_without_devices_to_start_does_not_wait_to_start() -> None:
    started = make_rollout(make_wave(5, counts=Counts(updating=5)))
    leased = make_rollout(make_wave(5), leases=(lease(0),))
    for rollout in (started, leased):
        assert find(rollout, left(1)) is None
        assert find(rollout, left(0)) is Wait.ALL


# -- what it shows ---------------------------------------------------------------------------

USED = (
    "Rollouts have used their 400 messages of the day, which is 0.1% of the hub's 400,000."
    " {} at 2026-11-24T00:00:00Z. No attempt is used up and no deadline runs."
)


REFUSED = (
    "The hub refuses all calls (403002), also those of devices: its 400,000 messages of the day"
    " are used up. No call is made until 2026-11-23T12:01:00Z; then the rollout goes on."
    " No attempt is used up and no deadline runs."
)


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (left(1), USED.format("Devices under way are observed; others start")),
        (left(0), USED.format("Nothing is read or started; the rollout goes on")),
        (
            left(9, refused_until=at(60)),
            REFUSED,
        ),
    ],
)
def test_a_wait_for_messages_is_an_outage_until_it_ends(day: DayLeft, message: str) -> None:
    waiting = daily_quota.show(make_rollout(make_wave(5)), day, LIMITS, NOON)
    assert waiting.outages == (Outage(code=DAILY_QUOTA, message=message, since=NOON),)
    ended = daily_quota.show(waiting, left(99), LIMITS, at(90))
    assert [item.until for item in ended.outages] == [at(90)]
    assert daily_quota.show(ended, left(99), LIMITS, at(99)) is ended


def test_a_refusal_of_the_day_is_recorded_until_calls_may_resume() -> None:
    budget = Budget(at=NOON, starts=3)
    assert daily_quota.record_refusal(budget, Usage(methods=1), LIMITS, NOON) is budget
    found = daily_quota.record_refusal(budget, Usage(refusals=1), LIMITS, NOON)
    midnight = NOON + timedelta(hours=12)
    assert found == Budget(at=NOON, starts=3, refused_until=midnight, refused_of=400_000)
