"""Test how far a process remembers that failures were searched, and when it searches again."""

from datetime import timedelta

import pytest

from functions.rollouts.device.attention import MAX_OBSERVED_EVERY_TICK, search_interval
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts
from functions.use_cases.failure_searches import (
    FIRST_LOOK_BACK,
    MAX_KEPT_REPORTS,
    MAX_KEPT_ROLLOUTS,
    QUERY_LAG,
    FailureSearches,
    Search,
    is_worthwhile,
)
from tests.functions.builders import at, make_moment, make_rollout, make_wave


def make_search(**fields: object) -> Search:
    return Search(**{"since": at(0), "started_at": at(0), "begun_at": at(0), **fields})  # type: ignore[arg-type]


def in_flight(
    updating: int, soaking: int = 0, status: RolloutStatus = RolloutStatus.RUNNING
) -> Rollout:
    counts = Counts(updating=updating, soaking=soaking)
    return make_rollout(make_wave(updating + soaking, counts=counts), status=status)


def report(number: int) -> TargetDevice:
    return TargetDevice(f"d-{number}", "2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        (in_flight(MAX_OBSERVED_EVERY_TICK), False),
        (in_flight(MAX_OBSERVED_EVERY_TICK + 1), True),
        (in_flight(1, MAX_OBSERVED_EVERY_TICK), True),
        (in_flight(100, status=RolloutStatus.PAUSED), True),
        (in_flight(100, status=RolloutStatus.CANCELLED), False),
    ],
)
def test_a_search_is_worthwhile_with_more_devices_than_each_tick_observes(
    rollout: Rollout, expected: bool
) -> None:
    assert is_worthwhile(rollout) is expected


def test_a_search_is_due_at_first_and_until_its_query_has_ended() -> None:
    assert make_search().due_at(at(60)) == at(60)
    assert make_search(searched_at=at(60), cursor="next").due_at(at(60)) == at(60)


def test_a_search_waits_for_a_time_that_grows_with_the_time_since_the_last_start() -> None:
    search = make_search(searched_at=at(7000), started_at=at(3600), count=9, devices=9)
    expected = search_interval(9, 9, timedelta(hours=1))
    assert expected > search_interval(9, 9, timedelta())
    assert search.due_at(at(7200)) == at(7000) + expected


def test_the_reports_that_were_read_last_are_remembered() -> None:
    search = make_search()
    search.remember(map(report, range(MAX_KEPT_REPORTS)))
    assert report(0) in search.known
    search.remember([report(MAX_KEPT_REPORTS)])
    assert len(search.known) == MAX_KEPT_REPORTS
    assert report(0) not in search.known


@pytest.mark.parametrize("seconds", [60, 300, 600, 3600])
def test_a_first_search_looks_back_to_the_start_but_at_most_ten_minutes(seconds: float) -> None:
    search = FailureSearches().get(make_moment(seconds, rollout=in_flight(30, 12)))
    assert search.since == max(at(0) - QUERY_LAG, at(seconds) - FIRST_LOOK_BACK)
    assert (search.started_at, search.begun_at) == (at(seconds), at(seconds))
    assert search.devices == 42


def test_a_first_search_of_a_rollout_that_has_not_started_looks_back_a_little() -> None:
    rollout = make_rollout(started_at=None)
    assert FailureSearches().get(make_moment(60, rollout=rollout)).since == at(60) - QUERY_LAG


def test_the_rollouts_that_were_searched_last_are_remembered() -> None:
    searches = FailureSearches()
    moments = [
        make_moment(60, rollout=make_rollout(rollout_id=f"r-{number}"))
        for number in range(MAX_KEPT_ROLLOUTS + 1)
    ]
    kept = [searches.get(moment) for moment in moments[:MAX_KEPT_ROLLOUTS]]
    assert searches.get(moments[0]) is kept[0]
    searches.get(moments[-1])
    assert searches.get(moments[0]) is kept[0]
    assert searches.get(moments[1]) is not kept[1]


def test_devices_that_were_leased_make_searches_more_frequent() -> None:
    searches, rollout = FailureSearches(), in_flight(30)
    searches.record_leases(rollout, 5, at(10))
    search = searches.get(make_moment(60, rollout=rollout))
    assert search.devices == 30
    searches.record_leases(rollout, 0, at(90))
    assert (search.devices, search.started_at) == (30, at(60))
    searches.record_leases(rollout, 5, at(90))
    assert (search.devices, search.started_at) == (35, at(90))


def test_the_next_search_is_due_only_for_a_rollout_that_is_searched() -> None:
    searches, rollout = FailureSearches(), in_flight(30)
    assert searches.due_at(rollout, at(60)) is None
    search = searches.get(make_moment(60, rollout=rollout))
    assert searches.due_at(rollout, at(60)) == at(60)
    assert searches.due_at(in_flight(3), at(60)) is None
    searches.record_read(rollout, [report(1)])
    assert report(1) in search.known
