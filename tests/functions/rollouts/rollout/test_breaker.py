"""Check when the hub counts as failing, and how it is probed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.outage import HEALTHY, HubHealth
from functions.rollouts.rollout import breaker, refusal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAILED = HubLoad(methods=10, failed=10, example="The hub failed (500).")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def failing() -> HubHealth:
    return breaker.judge(HEALTHY, FAILED, NOON)


def test_a_load_tells_responses_failures_and_silence() -> None:
    outcomes: list[MethodOutcome] = [
        Responded(MethodResponse(status=503)),
        DeviceOffline(),
        Lost("broke", hub_failed=True),
        NotDelivered("429", throttled=True),
        Lost("silent"),
    ]
    load = breaker.measure(outcomes, HubLoad(responded=1))
    assert (load.responded, load.failed, load.silent, load.example) == (3, 2, 1, "silent")


def test_most_calls_must_fail_at_the_hub() -> None:
    incident = failing().incident
    assert incident is not None
    assert (incident.failed, incident.calls) == (10, 10)
    half = replace(FAILED, failed=10, responded=10)
    assert breaker.judge(HEALTHY, half, NOON).incident is None
    assert breaker.judge(HEALTHY, replace(half, failed=11), NOON).incident is not None


def test_a_small_rollout_finds_a_failing_hub_over_several_ticks() -> None:
    health = HEALTHY
    for number in range(breaker.MIN_FAILED):
        assert health.incident is None
        health = breaker.judge(health, HubLoad(failed=1), at(10 * number))
    assert health.incident is not None


def test_a_response_between_failures_starts_the_count_again() -> None:
    health = HEALTHY
    for number in range(20):
        load = HubLoad(failed=1) if number % 4 else HubLoad(responded=1)
        health = breaker.judge(health, load, at(10 * number))
    assert health.incident is None


def test_silence_is_the_hubs_only_after_responses() -> None:
    silent = HubLoad(silent=100)
    assert breaker.judge(HEALTHY, silent, NOON).incident is None
    responded = breaker.judge(HEALTHY, HubLoad(responded=1), NOON)
    assert breaker.judge(responded, silent, at(10)).incident is not None
    assert breaker.judge(responded, replace(silent, responded=1), at(10)).incident is None
    assert breaker.judge(responded, silent, at(3700)).incident is None


def test_failed_reads_of_several_ticks_are_an_incident_and_a_read_ends_it() -> None:
    health = HEALTHY
    for number in range(breaker.MIN_FAILED):
        health = breaker.judge(health, HubLoad(), at(10 * number), has_read=False)
    assert health.incident is not None
    for number in range(10):
        health = breaker.judge(health, HubLoad(), at(100 + 10 * number), has_read=True)
    assert health.incident is None


def test_only_a_few_calls_probe_a_failing_hub() -> None:
    health = failing()
    assert breaker.max_starts(HEALTHY, NOON) is None
    assert breaker.max_starts(health, at(10)) == 0
    assert breaker.max_starts(health, at(30)) == breaker.MIN_PROBE
    sent = breaker.take_probe(health, 3, at(30))
    assert breaker.max_starts(sent, at(40)) == 0
    again = breaker.judge(sent, HubLoad(failed=3), at(40))
    assert breaker.max_starts(again, at(69)) == 0
    assert breaker.max_starts(again, at(70)) == breaker.MIN_PROBE


def test_probes_grow_until_the_hub_counts_as_working() -> None:
    health, probes = failing(), []
    for number in range(10):
        limit = breaker.max_starts(health, at(30 + 10 * number))
        if limit is None:
            break
        probes.append(limit)
        sent = breaker.take_probe(health, limit, at(30 + 10 * number))
        health = breaker.judge(sent, HubLoad(responded=limit), at(40 + 10 * number))
    assert probes == [3, 6, 12, 24]
    assert health.incident is None


def test_an_incident_without_a_device_to_probe_with_ends() -> None:
    health = failing()
    assert breaker.judge(health, HubLoad(), at(300)).incident is not None
    assert breaker.judge(health, HubLoad(), at(331)).incident is None


# -- refusals of the app ---------------------------------------------------------------------

REFUSED = HubLoad(methods=5, failed=5, refused=5, example="The hub refused the method (401002).")


def test_five_refusals_and_nothing_else_are_a_refusal_of_the_app() -> None:
    incident = breaker.judge(HEALTHY, REFUSED, NOON).incident
    assert incident is not None
    assert incident.is_refusal
    other = breaker.judge(HEALTHY, replace(REFUSED, failed=6), NOON).incident
    assert other is not None
    assert not other.is_refusal
    assert breaker.judge(HEALTHY, replace(REFUSED, failed=4, refused=4), NOON).incident is None


def test_a_minute_of_refusals_is_enough_however_few_calls_are_made() -> None:
    one = HubLoad(failed=1, refused=1)
    health = breaker.judge(HEALTHY, one, NOON)
    assert breaker.judge(health, HubLoad(), at(61)).incident is None
    assert breaker.judge(health, one, at(59)).incident is None
    incident = breaker.judge(health, one, at(60)).incident
    assert incident is not None
    assert (incident.is_refusal, incident.since) == (True, NOON)


@pytest.mark.parametrize(
    "between", [HubLoad(responded=1), HubLoad(failed=1), HubLoad(silent=1)], ids=str
)
def test_any_other_end_of_a_call_begins_the_minute_anew(between: HubLoad) -> None:
    one = HubLoad(failed=1, refused=1)
    health = breaker.judge(breaker.judge(HEALTHY, one, NOON), between, at(30))
    health = breaker.judge(health, one, at(60))
    assert health.incident is None
    assert health.refused_since == at(60)


def test_refused_reads_of_a_minute_are_a_refusal_that_one_accepted_call_ends() -> None:
    health = HEALTHY
    for seconds in (0, 30, 60):
        health = breaker.judge(health, HubLoad(), at(seconds), has_read=False, read_refused=True)
    assert health.incident is not None
    assert health.incident.refuses_reads
    assert refusal.accept_access(health).incident is None


def test_accepted_reads_do_not_end_a_refusal_of_methods_and_a_response_does() -> None:
    health = breaker.judge(HEALTHY, REFUSED, NOON)
    assert refusal.accept_access(health) == health
    health = breaker.judge(health, HubLoad(), at(10), has_read=True)
    assert health.incident is not None
    assert breaker.max_starts(health, at(20)) == 0
    assert breaker.max_starts(health, at(30)) == breaker.MIN_PROBE
    assert breaker.judge(health, HubLoad(responded=1), at(40)).incident is None


def test_a_refusal_that_turns_into_a_failure_is_told_as_one_and_back() -> None:
    health = breaker.judge(HEALTHY, REFUSED, NOON)
    failing_now = breaker.judge(health, HubLoad(failed=3), at(30))
    assert failing_now.incident is not None
    assert not failing_now.incident.is_refusal
    again = breaker.judge(failing_now, HubLoad(failed=3, refused=3), at(60))
    assert again.incident is not None
    assert again.incident.is_refusal


def test_a_refusal_of_methods_ends_if_no_device_is_left_to_probe_with() -> None:
    health = breaker.judge(HEALTHY, REFUSED, NOON)
    assert breaker.judge(health, HubLoad(), at(330)).incident is None
    known = refusal.refuse_access(health, "401")
    assert breaker.judge(known, HubLoad(), at(100_000)).incident is not None


def test_a_probe_of_which_most_calls_stay_silent_is_repeated() -> None:
    sent = breaker.take_probe(failing(), 3, at(30))
    again = breaker.judge(sent, HubLoad(silent=2, responded=1), at(40))
    assert breaker.max_starts(again, at(70)) == breaker.MIN_PROBE
    assert again.incident is not None
    assert (again.incident.calls, again.incident.failed) == (13, 12)


def test_calls_that_are_forgotten_leave_no_count() -> None:
    load = HubLoad(methods=9, responded=1, failed=2, refused=3, silent=4, example="x", starts=5)
    assert breaker.forget_calls(load) == HubLoad(methods=9, starts=5)
