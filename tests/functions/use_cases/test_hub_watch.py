"""Test how one tick judges the hub for all rollouts that it advances."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.outage import HEALTHY, HubHealth, HubIncident
from functions.rollouts.rollout.breaker import MIN_FAILED, MIN_SILENT, PROBE_INTERVAL
from functions.use_cases.hub_watch import HubWatch
from tests.functions.use_cases.world import NOON, World, devices

REFUSAL = HubIncident(
    since=NOON, calls=9, failed=9, example="before", probe=3, probe_at=NOON, is_refusal=True
)
FAILURE = replace(REFUSAL, is_refusal=False)
# Refusals of reads are known, so a call that is not refused ends the incident.
READS = replace(REFUSAL, refuses_reads=True)


def probe(health: HubHealth, outcome: Exception | None) -> tuple[HubWatch, int]:
    """Let a watch probe the hub, which responds with `outcome`. Return both the watch and calls."""
    world, calls = World(devices(1)), list[int]()

    def ping() -> None:
        calls.append(1)
        if outcome is not None:
            raise outcome

    hub: Any = world.hub
    hub.ping = ping
    watch = HubWatch(health)
    watch.probe_access(world.services)
    return watch, len(calls)


@pytest.mark.parametrize("incident", [None, FAILURE])
def test_a_hub_that_refused_nothing_is_not_called(incident: HubIncident | None) -> None:
    watch, calls = probe(HubHealth(incident=incident), HubRefusedError("401"))
    assert (calls, watch.is_refused) == (0, False)


def test_a_hub_that_still_refuses_this_app_is_known_to_refuse_reads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch, calls = probe(HubHealth(incident=REFUSAL), HubRefusedError("401002"))
    assert (calls, watch.is_refused) == (1, True)
    expected = replace(REFUSAL, refuses_reads=True, example="401002")
    assert watch.end_tick(NOON) == HubHealth(incident=expected)
    lines: list[Any] = [item for item in caplog.records if item.levelno == logging.ERROR]
    assert [(line.event, line.since) for line in lines] == [("hubRefusesAccess", NOON.isoformat())]
    assert "401002" in lines[0].getMessage()


@pytest.mark.parametrize(
    ("incident", "outcome", "after"),
    [
        (READS, None, None),
        (READS, DailyQuotaError("403002"), None),
        (REFUSAL, None, REFUSAL),
        (REFUSAL, DailyQuotaError("403002"), REFUSAL),
        (READS, HubUnavailableError("503"), replace(READS, is_refusal=False)),
    ],
)
def test_a_probe_that_is_not_refused_ends_the_refusal(
    incident: HubIncident, outcome: Exception | None, after: HubIncident | None
) -> None:
    watch, _ = probe(HubHealth(incident=incident), outcome)
    assert not watch.is_refused
    assert watch.judge(HubLoad(), NOON).incident == after


def test_a_stratum_of_a_rollout_is_compared_once_a_tick() -> None:
    watch = HubWatch(HEALTHY)
    keys = [("one", None), ("one", 0), ("two", 0)]
    assert [watch.compare_once(*key) for key in keys] == [True, True, True]
    assert [watch.compare_once(*key) for key in keys] == [False, False, False]


def test_silent_devices_of_all_rollouts_are_judged_together_at_the_end() -> None:
    silent = HubLoad(silent=MIN_SILENT // 2, example="no response")
    health = replace(HEALTHY, responded_at=NOON)
    watch = HubWatch(health)
    assert watch.judge(replace(silent, silent=MIN_SILENT), NOON).incident is None
    for _ in range(2):
        watch.accept(silent, 0, NOON)
    incident = watch.end_tick(NOON).incident
    assert incident is not None
    assert (incident.failed, incident.example) == (MIN_SILENT, "no response")


def test_a_response_in_any_rollout_shows_that_silent_devices_are_not_the_hubs_failure() -> None:
    silent = HubLoad(silent=MIN_SILENT, example="no response")
    for loads in ([silent, HubLoad(responded=1)], [HubLoad(responded=1), silent]):
        watch = HubWatch(replace(HEALTHY, responded_at=NOON))
        for load in loads:
            watch.accept(load, 0, NOON)
        assert watch.end_tick(NOON).incident is None


def test_silent_devices_add_nothing_to_a_failure_that_is_known() -> None:
    watch = HubWatch(replace(HEALTHY, responded_at=NOON))
    watch.accept(HubLoad(silent=9), 0, NOON)
    watch.accept(HubLoad(failed=MIN_FAILED, example="503"), 0, NOON)
    known = watch.judge(HubLoad(), NOON)
    assert known.incident is not None
    assert watch.end_tick(NOON) == known


def test_failures_after_a_response_still_count_at_the_end() -> None:
    watch = HubWatch(HEALTHY)
    watch.accept(HubLoad(responded=1), 0, NOON)
    watch.accept(HubLoad(failed=1, example="503"), 0, NOON)
    assert watch.end_tick(NOON).failed == 1


def test_failures_of_all_rollouts_count_together_and_the_next_methods_are_a_probe() -> None:
    watch, later = HubWatch(HEALTHY), NOON + PROBE_INTERVAL
    load = HubLoad(failed=MIN_FAILED - 1, example="503")
    watch.accept(load, 0, NOON)
    assert watch.judge(HubLoad(), NOON).incident is None
    watch.accept(load, 0, NOON)
    assert watch.judge(HubLoad(), NOON).incident is not None
    watch.accept(HubLoad(), 3, later)
    incident = watch.end_tick(later).incident
    assert incident is not None
    assert incident.probe_at == later + PROBE_INTERVAL


@pytest.mark.parametrize("error", [HubUnavailableError("503"), HubRefusedError("401")])
def test_a_tick_without_a_read_that_succeeded_has_failed_reads(error: HubUnavailableError) -> None:
    world, is_refusal = World(devices(1)), isinstance(error, HubRefusedError)
    for has_read in (False, True):
        watch = HubWatch(HEALTHY)
        watch.record_read(has_read=has_read)
        watch.record_failed_read(world.services, "unknown", error)
        found = watch.end_tick(NOON)
        assert found.failed_reads == (0 if has_read else 1)
        assert (found.refused_since is not None) is (is_refusal and not has_read)


def test_a_tick_without_reads_has_no_failed_reads() -> None:
    watch = HubWatch(replace(HEALTHY, failed_reads=2))
    watch.record_read(has_read=False)
    assert watch.end_tick(NOON).failed_reads == 2


@pytest.mark.parametrize(("incident", "code"), [(FAILURE, "hubUnavailable"), (None, None)])
def test_a_rollout_whose_reads_fail_says_that_the_hub_fails_once_that_is_known(
    incident: HubIncident | None, code: str | None
) -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    before = world.rollout(rollout_id)
    watch = HubWatch(HubHealth(incident=incident))
    watch.record_failed_read(world.services, rollout_id, HubUnavailableError("503"))
    after = world.rollout(rollout_id)
    assert (after.status_reason.code if after.status_reason else None) == code
    assert (after == before) is (incident is None)


def test_a_refusal_is_stored_once_in_a_rollout() -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    watch, revisions = HubWatch(HubHealth(incident=READS)), list[int]()
    for _ in range(2):
        snapshot = world.stores.rollouts.get(rollout_id)
        assert snapshot is not None
        watch.show_refusal(world.services, snapshot)
        revisions.append(world.rollout(rollout_id).revision)
    shown = world.rollout(rollout_id).status_reason
    assert shown is not None
    assert shown.code == "hubRefusesAccess"
    assert revisions[0] == revisions[1]


def test_a_failure_that_reads_show_names_the_latest_error() -> None:
    world = World(devices(1))
    watch = HubWatch(replace(HEALTHY, failed_reads=MIN_FAILED - 1))
    watch.record_failed_read(world.services, "unknown", HubUnavailableError("status 503"))
    incident = watch.end_tick(NOON).incident
    assert incident is not None
    assert (incident.example, incident.by_reads) == ("status 503", True)
