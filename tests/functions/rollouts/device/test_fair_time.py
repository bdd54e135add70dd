"""Outages prolong the times of the updates that they concern, and of no others."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.rollouts.device import fair_time
from functions.rollouts.device.deadlines import timeout_at
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import ACCESS, AMBIENT, DAILY_QUOTA, HUB, Outage
from functions.rollouts.model.strategy import Offline, Strategy
from tests.functions.builders import at, make_moment, make_rollout, make_update

TIMEOUT, SOAK = timedelta(hours=1), timedelta(hours=2)
STRATEGY = Strategy(timeout=TIMEOUT, soak=SOAK)
IMPATIENT = Strategy(timeout=TIMEOUT, soak=SOAK, offline=Offline(deadline=timedelta(seconds=100)))
START, NOW, END = at(0), 3600.0, 3600.0


def outage(since: float, until: float | None, code: str = HUB, **values: Any) -> Outage:
    ended_at = None if until is None else at(until)
    return Outage(code=code, message="It fails.", since=at(since), until=ended_at, **values)


def make_moment_with(*outages: Outage, strategy: Strategy = STRATEGY) -> Moment:
    return make_moment(NOW, rollout=make_rollout(strategy=strategy, outages=outages))


def extend(
    *outages: Outage,
    state: DeviceState = DeviceState.ACCEPTED,
    strategy: Strategy = STRATEGY,
    since: datetime | None = START,
    **values: Any,
) -> datetime:
    """Return when a time that began at noon and would end an hour later ends."""
    update = make_update(state=state, **values)
    return fair_time.extend(make_moment_with(*outages, strategy=strategy), update, since, at(END))


# -- outages that are known from beginning to end ----------------------------------------------


@pytest.mark.parametrize("code", [HUB, ACCESS, DAILY_QUOTA])
def test_an_outage_of_the_hub_prolongs_a_time_by_its_length(code: str) -> None:
    assert extend(outage(600, 1200, code)) == at(END + 600)


def test_two_outages_prolong_a_time_by_both_lengths() -> None:
    assert extend(outage(600, 1200), outage(1800, 1900)) == at(END + 700)


def test_only_the_part_of_an_outage_in_the_time_prolongs_it() -> None:
    assert extend(outage(-600, 1200)) == at(END + 1200)


def test_an_outage_that_lasts_prolongs_a_time_for_now_and_beyond_the_next_check() -> None:
    assert extend(outage(3000, None)) == at(END + 600)
    assert extend(outage(3590, None)) == at(NOW + 60)


def test_a_device_has_ten_minutes_to_reconnect_after_an_outage() -> None:
    assert extend(outage(3400, 3500)) == at(3500 + 600)


@pytest.mark.parametrize("until", [-1, 0])
@pytest.mark.parametrize("code", [HUB, AMBIENT])
def test_an_outage_that_was_over_before_prolongs_nothing(code: str, until: float) -> None:
    assert extend(outage(-900, until, code)) == at(END)


def test_a_time_that_has_not_begun_and_a_time_without_outages_stay() -> None:
    assert extend() == at(END)
    assert extend(outage(600, 1200), since=None) == at(END)


# -- ambient outages ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "again"),
    [
        (DeviceState.QUEUED, timedelta(minutes=10)),
        (DeviceState.DISPATCHING, timedelta(minutes=10)),
        (DeviceState.ACCEPTED, TIMEOUT),
        (DeviceState.DOWNLOADING, TIMEOUT),
        (DeviceState.APPLYING, TIMEOUT),
        (DeviceState.SOAKING, SOAK),
    ],
)
def test_after_an_ambient_outage_a_device_under_way_has_its_whole_time_again(
    state: DeviceState, again: timedelta
) -> None:
    assert extend(outage(600, 3500, AMBIENT), state=state) == at(3500) + again


def test_a_short_timeout_leaves_ten_minutes_after_an_ambient_outage() -> None:
    strategy = Strategy(timeout=timedelta(minutes=1))
    assert extend(outage(600, 3500, AMBIENT), strategy=strategy) == at(3500 + 600)


def test_an_ambient_outage_that_lasts_prolongs_a_time_beyond_its_next_check() -> None:
    assert extend(outage(600, None, AMBIENT)) == at(NOW + 60)


def test_an_ambient_outage_concerns_the_devices_of_its_stratum_alone() -> None:
    ambient = outage(600, None, AMBIENT, stratum=1)
    assert extend(ambient, stratum=1) == at(NOW + 60)
    assert extend(ambient, stratum=2) == at(END)


@pytest.mark.parametrize(
    ("state", "again"), [(DeviceState.ACCEPTED, 3600), (DeviceState.DISPATCHING, 600)]
)
def test_ambient_outages_prolong_a_time_by_the_offline_deadline_and_once_more_at_most(
    state: DeviceState, again: float
) -> None:
    ambient = outage(600, 9000, AMBIENT)
    assert extend(ambient, state=state, strategy=IMPATIENT) == at(END + 100 + again)


# -- the timeout -------------------------------------------------------------------------------


def test_a_timeout_is_prolonged_from_the_acceptance_on() -> None:
    moment = make_moment_with(outage(600, 1200))
    for accepted_at, end in ((0, END + 600), (900, 900 + END + 300), (1200, 1200 + END)):
        update = make_update(state=DeviceState.APPLYING, accepted_at=at(accepted_at))
        assert timeout_at(moment, update) == at(end)


@pytest.mark.parametrize("state", list(DeviceState))
def test_only_a_device_that_accepted_and_has_not_ended_times_out(state: DeviceState) -> None:
    def times_out(update: DeviceUpdate) -> bool:
        return timeout_at(make_moment_with(), update) is not None

    has_accepted = state.in_flight and state is not DeviceState.DISPATCHING
    assert times_out(make_update(state=state, accepted_at=at(0))) is has_accepted
    assert not times_out(make_update(state=state))
