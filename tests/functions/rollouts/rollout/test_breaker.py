"""Check when the hub counts as failing, and how it is probed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from functions.rollouts.rollout import breaker

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
