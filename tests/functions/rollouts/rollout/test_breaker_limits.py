"""Check the numbers at which the hub counts as failing, and what a probe changes."""

from dataclasses import replace

import pytest

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    Lost,
    MethodOutcome,
    NotDelivered,
)
from functions.rollouts.model.outage import ACCESS, HEALTHY, HUB, HubHealth, HubIncident
from functions.rollouts.rollout import breaker, outages
from tests.functions.builders import NOON, at, make_rollout

SILENT, FAILED = Lost("silent"), Lost("broke", hub_failed=True)
RESPONDED = HubHealth(responded_at=at(-60))
REFUSED = HubLoad(methods=5, failed=5, refused=5, example="401")


def make_failing(**values: object) -> HubHealth:
    """Make a hub that fails and may be probed at noon."""
    known: dict[str, object] = {"since": at(-30), "calls": 10, "failed": 8, "example": "500"}
    known |= {"probe": 6, "probe_at": NOON}
    incident = HubIncident(**(known | values))  # type: ignore[arg-type]
    return HubHealth(responded_at=at(-60), incident=incident)


def find_incident(health: HubHealth) -> HubIncident:
    assert health.incident is not None
    return health.incident


def test_each_call_is_added_to_what_was_measured_before() -> None:
    refused = NotDelivered("401", access_refused=True)
    throttled = NotDelivered("429", throttled=True)
    outcomes: list[MethodOutcome] = [SILENT, SILENT, FAILED, refused, refused, throttled]
    before = HubLoad(responded=1, failed=2, refused=3, silent=4)
    assert breaker.measure(outcomes, before) == HubLoad(
        responded=1, failed=6, refused=5, silent=6, example="429"
    )


# -- whether the silence of a batch is the hub's failure ----------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "finished", "is_hub"),
    [
        ([SILENT] * 19, 1, False),
        ([SILENT] * 20, 1, True),
        ([SILENT] * 16 + [FAILED] * 4, 1, True),
        ([FAILED] * 4, 1, False),
        ([FAILED] * 5, 1, True),
        ([FAILED] * 5 + [DeviceOffline()], 1, False),
        ([SILENT] * 20, 0, False),  # nothing shows that a device listens
    ],
)
def test_many_calls_without_any_response_are_the_hubs_failure(
    outcomes: list[MethodOutcome], finished: int, *, is_hub: bool
) -> None:
    rollout = make_rollout(finished=finished)
    assert breaker.blame_hub(rollout, outcomes) is is_hub


def test_a_hub_that_is_known_to_fail_is_blamed_for_every_call() -> None:
    for health in (make_failing(), make_failing(is_refusal=True)):
        rollout = breaker.show(make_rollout(), health, NOON)
        assert breaker.blame_hub(rollout, [DeviceOffline()])


# -- when the hub counts as failing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "load", "calls"),
    [
        (HEALTHY, HubLoad(failed=4, responded=1), None),
        (HEALTHY, HubLoad(failed=5, responded=5), None),
        (HEALTHY, HubLoad(failed=5, responded=4), (9, 5)),
        (HEALTHY, HubLoad(failed=8, silent=2, responded=1), (11, 10)),
        (HubHealth(failed=3, silent=2), HubLoad(failed=1), None),
        (HubHealth(failed=4, silent=2), HubLoad(failed=1), (7, 7)),
        (HubHealth(failed=5), HubLoad(silent=1), None),
        (RESPONDED, HubLoad(silent=19), None),
        (RESPONDED, HubLoad(silent=20), (20, 20)),
        (replace(RESPONDED, failed=4, silent=15), HubLoad(silent=1), (20, 20)),
        (replace(RESPONDED, silent=25), HubLoad(), None),
        (HubHealth(responded_at=at(-3600)), HubLoad(silent=20), (20, 20)),
        (HubHealth(responded_at=at(-3601)), HubLoad(silent=20), None),
    ],
)
def test_a_hub_counts_as_failing_from_this_many_calls_on(
    health: HubHealth, load: HubLoad, calls: tuple[int, int] | None
) -> None:
    incident = breaker.judge(health, load, NOON).incident
    assert (incident and (incident.calls, incident.failed)) == calls


def test_a_hub_counts_as_failing_from_the_fifth_tick_with_failed_reads_on() -> None:
    health = HEALTHY
    for _ in range(4):
        health = breaker.judge(health, HubLoad(), NOON, has_read=False)
    assert (health.failed_reads, health.incident) == (4, None)
    again = breaker.judge(health, HubLoad(), NOON, has_read=True)
    assert again.failed_reads == 0
    for load, failed in ((HubLoad(), 5), (HubLoad(responded=1), 5)):
        incident = find_incident(breaker.judge(health, load, NOON, has_read=False))
        assert (incident.calls, incident.failed, incident.by_reads) == (failed, failed, True)


def test_a_response_forgets_the_failures_before_it() -> None:
    health = HubHealth(failed=4, silent=9, failed_reads=3, responded_at=at(-60))
    found = breaker.judge(health, HubLoad(responded=1), NOON)
    assert found == HubHealth(failed_reads=3, responded_at=NOON)


def test_an_accepted_read_between_refusals_begins_their_minute_anew() -> None:
    health = HubHealth(refused_since=at(-60))
    assert breaker.judge(health, HubLoad(), NOON, has_read=True).refused_since is None
    assert breaker.judge(health, HubLoad(), NOON).refused_since == at(-60)


# -- probes of a hub that fails -----------------------------------------------------------------


@pytest.mark.parametrize("load", [HubLoad(failed=2, responded=2), HubLoad(silent=1)])
def test_a_probe_that_mostly_fails_is_repeated_with_few_calls(load: HubLoad) -> None:
    found = breaker.judge(make_failing(), load, at(10))
    incident, failed = find_incident(found), load.failed + load.silent
    assert (incident.probe, incident.probe_at) == (breaker.MIN_PROBE, at(40))
    assert (incident.calls, incident.failed) == (10 + failed + load.responded, 8 + failed)


def test_an_incident_shows_the_latest_example() -> None:
    for example, expected in (("", "500"), ("503", "503")):
        found = breaker.judge(make_failing(), HubLoad(failed=1, example=example), at(10))
        assert find_incident(found).example == expected


def test_a_read_is_a_response_only_of_a_hub_whose_reads_failed() -> None:
    one_each = HubLoad(failed=1, responded=1)
    by_reads, by_calls = make_failing(by_reads=True), make_failing()
    assert find_incident(breaker.judge(by_reads, one_each, NOON, has_read=True)).probe == 12
    assert find_incident(breaker.judge(by_calls, one_each, NOON, has_read=True)).probe == 3
    assert breaker.judge(by_calls, HubLoad(), NOON, has_read=True) == by_calls


def test_the_largest_probe_is_the_last() -> None:
    assert find_incident(breaker.judge(make_failing(probe=20), HubLoad(responded=9), NOON)) == (
        find_incident(make_failing(probe=40))
    )
    ended = breaker.judge(make_failing(probe=21), HubLoad(responded=9), NOON)
    assert ended == HubHealth(responded_at=NOON)


@pytest.mark.parametrize("is_refusal", [False, True])
def test_an_incident_ends_after_five_minutes_without_a_call(*, is_refusal: bool) -> None:
    health = make_failing(is_refusal=is_refusal)
    assert breaker.judge(health, HubLoad(), at(299)) == health
    assert breaker.judge(health, HubLoad(), at(300)) == RESPONDED


def test_a_response_of_a_hub_that_refused_the_app_is_remembered() -> None:
    health = breaker.judge(make_failing(is_refusal=True), HubLoad(responded=1), at(10))
    assert health == HubHealth(responded_at=at(10))


def test_a_probe_that_is_refused_is_added_to_the_incident() -> None:
    load = HubLoad(failed=2, refused=2, silent=1, example="403")
    found = find_incident(breaker.judge(make_failing(is_refusal=True), load, at(10)))
    assert (found.calls, found.failed, found.example) == (13, 11, "403")
    assert (found.probe_at, found.is_refusal) == (at(40), True)
    later = make_failing(is_refusal=True, probe_at=at(99))
    assert find_incident(breaker.judge(later, load, at(10))).probe_at == at(99)


# -- the outage of a rollout --------------------------------------------------------------------


def test_a_rollout_shows_the_incident_until_it_ends() -> None:
    failing = breaker.show(make_rollout(), make_failing(), NOON)
    outage = outages.find_open(failing, HUB)
    assert outage is not None
    assert outage.since == NOON
    assert outage.message.startswith("The hub fails: 8 of 10 calls by 2026-11-23T11:59:30Z. Last")
    assert not outages.find_hub_outage(breaker.show(failing, HEALTHY, at(60)))
    refused = breaker.show(make_rollout(), breaker.judge(HEALTHY, REFUSED, NOON), NOON)
    assert outages.find_open(refused, ACCESS) is not None
    assert not outages.find_hub_outage(breaker.show(refused, HEALTHY, at(60)))
