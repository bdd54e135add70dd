"""Waiting for a device ends after the time in which the device might have started."""

from datetime import timedelta

import pytest

from functions.rollouts.device.deadlines import begin_wait, deadline, has_come
from functions.rollouts.device.moment import Moment, moment_of
from functions.rollouts.model.outage import HUB, Outage
from functions.rollouts.model.strategy import Offline, Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import at, make_moment, make_rollout, make_update, make_wave

STRATEGY = Strategy(offline=Offline(deadline=timedelta(seconds=600)))
WAITING = make_update(waiting_since=at(0), waiting_from=timedelta(seconds=50))


def make(seconds: float, startable: float, *outages: Outage) -> Moment:
    """Make a moment until which devices could start for `startable` seconds."""
    rollout = make_rollout(strategy=STRATEGY, outages=outages)
    return moment_of(rollout, at(seconds), lambda: 1.0, timedelta(seconds=startable))


@pytest.mark.parametrize(("seconds", "come"), [(59, False), (60, True), (61, True)])
def test_a_time_has_come_from_then_on(seconds: float, come: bool) -> None:
    assert has_come(make_moment(seconds), at(60)) is come
    assert not has_come(make_moment(seconds), None)


def test_a_wait_begins_once_and_knows_how_long_devices_could_start_until_then() -> None:
    waiting = begin_wait(make(100, 40), make_update())
    assert (waiting.waiting_since, waiting.waiting_from) == (at(100), timedelta(seconds=40))
    assert begin_wait(make(200, 90), waiting) is waiting


def test_only_time_in_which_the_device_might_have_started_counts() -> None:
    assert deadline(make(1000, 150), WAITING) == at(1000 + 600 - 100)
    assert deadline(make(1000, 50), WAITING) == at(1000 + 600)


def test_a_wait_that_an_earlier_release_stored_counts_all_time() -> None:
    assert deadline(make(1000, 150), WAITING._replace(waiting_from=None)) == at(600)


def test_a_device_that_is_not_waited_for_has_the_whole_time() -> None:
    assert deadline(make(1000, 150), make_update()) == at(1000 + 600)


def test_a_wait_ends_ten_minutes_after_an_outage_at_the_earliest() -> None:
    outage = Outage(code=HUB, message="The hub fails.", since=at(900), until=at(950))
    moment = make(1000, 600, outage)
    assert deadline(moment, WAITING) == at(950 + 600)
    later = WAITING._replace(waiting_since=at(950), waiting_from=timedelta())
    assert deadline(moment, later) == at(1000)


def test_a_moment_counts_the_devices_in_flight_of_all_waves() -> None:
    waves = [make_wave(9, counts=Counts(updating=number)) for number in (2, 3)]
    moment = moment_of(make_rollout(*waves), at(5), lambda: 0.5, timedelta(seconds=4))
    assert (moment.updating, moment.now, moment.startable) == (5, at(5), timedelta(seconds=4))
    assert moment.strategy is moment.rollout.strategy
