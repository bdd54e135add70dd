"""Scheduled jobs: which devices, when, how fast, and how each part ends."""

from typing import Any

import pytest

from simulator.hub.model.connections import Subscription
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.hub import Hub
from simulator.hub.model.job import JobRequest, JobStatus, JobType
from simulator.hub.model.jobs import RETENTION_SECONDS
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.methods import MethodResponse
from simulator.hub.model.quotas import Quota, Tier
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.jobs import job_request
from tests.simulator.hub.builders import (
    NOW,
    ManualClock,
    MemoryTable,
    connect,
    make_device,
    make_hub,
)

TWIN_UPDATE: Document = {"tags": {"done": 1}, "properties": {"reported": {}}, "etag": "*"}
METHOD: Document = {"methodName": "reboot", "payload": {"a": 1}, "responseTimeoutInSeconds": 5}


def twin_job(job_id: str = "job", **changes: Json) -> JobRequest:
    body: Document = {"type": "scheduleUpdateTwin", "updateTwin": TWIN_UPDATE}
    return job_request(body | {"queryCondition": "*"} | changes, job_id)


def method_job(job_id: str = "job", **changes: Json) -> JobRequest:
    body: Document = {"type": "scheduleDeviceMethod", "cloudToDeviceMethod": METHOD}
    return job_request(body | {"queryCondition": "*"} | changes, job_id)


def fleet(clock: ManualClock, size: int = 3) -> Hub:
    hub = make_hub(clock=clock)
    for number in range(size):
        make_device(hub, f"d{number}")
        hub.twins.patch(f"d{number}", read_twin_write({"tags": {"n": number}}), None)
    return hub


def statistics(hub: Hub, job_id: str = "job") -> Any:
    return hub.jobs.get(job_id).document()["deviceJobStatistics"]


def rows(hub: Hub, condition: str) -> list[Document]:
    query = f"SELECT * FROM devices.jobs WHERE {condition}"  # noqa: S608  is what is tested
    return hub.queries.run(query, None, None).rows


def refused(hub: Hub, request: JobRequest) -> ErrorCode:
    with pytest.raises(HubError) as caught:
        hub.jobs.create(request)
    return caught.value.code


class TestTwinUpdates:
    def test_every_selected_device_is_written_connected_or_not(self) -> None:
        hub = fleet(clock := ManualClock())
        connect(hub, "d2", Subscription.DESIRED_CHANGES)
        assert hub.jobs.create(twin_job(queryCondition="tags.n > 0")).status == JobStatus.QUEUED
        clock.advance(0)
        document = hub.jobs.get("job").document()
        assert [hub.twins.get(f"d{n}").twin.tags.get("done") for n in range(3)] == [None, 1, 1]
        assert document["status"] == "completed"
        assert document["updateTwin"] == TWIN_UPDATE
        assert document["queryCondition"] == "tags.n > 0"
        assert statistics(hub) == {
            "deviceCount": 2,
            "failedCount": 0,
            "succeededCount": 2,
            "runningCount": 0,
            "pendingCount": 0,
        }

    def test_a_job_for_no_device_completes(self) -> None:
        hub = fleet(clock := ManualClock())
        hub.jobs.create(twin_job(queryCondition="tags.n = 99"))
        clock.advance(0)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED

    def test_one_device_that_cannot_be_written_fails_alone(self) -> None:
        hub = fleet(clock := ManualClock())
        big: Document = {"tags": {f"k{n}": "x" * 4000 for n in range(2)}}
        hub.twins.patch("d1", read_twin_write({"tags": {"own": "y" * 500}}), None)
        hub.jobs.create(twin_job(updateTwin=big))
        clock.advance(0)
        assert statistics(hub)["failedCount"] == 1
        [row] = rows(hub, "devices.jobs.status = 'failed'")
        assert (row["deviceId"], row["error"]["code"]) == ("d1", "400004")  # type: ignore[index, call-overload]

    @pytest.mark.parametrize("condition", ["SELECT * FROM devices", "tags.n =", "nonsense()"])
    def test_an_invalid_condition_fails_the_job(self, condition: str) -> None:
        hub = fleet(clock := ManualClock())
        hub.jobs.create(twin_job(queryCondition=condition))
        clock.advance(0)
        document = hub.jobs.get("job").document()
        assert document["status"] == "failed"
        assert str(document["failureReason"]).startswith("ErrorCode:ArgumentInvalid;")

    def test_a_condition_that_is_too_long_is_refused(self) -> None:
        too_long = "tags.n = 1 OR " * 700 + "tags.n = 1"
        hub = fleet(ManualClock())
        assert refused(hub, twin_job(queryCondition=too_long)) is ErrorCode.PRECONDITION_FAILED


class TestMethods:
    def test_the_response_of_every_device_can_be_queried(self) -> None:
        hub = fleet(clock := ManualClock(), 2)
        links = [connect(hub, f"d{number}", Subscription.METHODS) for number in range(2)]
        hub.jobs.create(method_job())
        clock.advance(0)
        assert hub.jobs.get("job").status == JobStatus.RUNNING
        assert statistics(hub)["runningCount"] == 2
        for number, link in enumerate(links):
            [(request_id, name, payload)] = link.methods
            assert (name, payload) == ("reboot", b'{"a":1}')
            hub.methods.respond(f"d{number}", request_id, MethodResponse(200, number))
        assert hub.jobs.get("job").status == JobStatus.COMPLETED
        found = rows(hub, "devices.jobs.jobId = 'job' AND devices.jobs.deviceId = 'd1'")
        assert [row["outcome"] for row in found] == [
            {"deviceMethodResponse": {"status": 200, "payload": 1}}
        ]

    def test_a_device_that_is_offline_or_silent_fails_and_the_job_completes(self) -> None:
        hub = fleet(clock := ManualClock(), 2)
        connect(hub, "d0", Subscription.METHODS)
        hub.jobs.create(method_job())
        clock.advance(0)
        clock.advance(5)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED
        codes = [row["error"]["code"] for row in rows(hub, "status = 'failed'")]  # type: ignore[index, call-overload]
        assert codes == ["504101", "404103"]


class TestTime:
    def test_a_job_waits_for_its_start(self) -> None:
        hub = fleet(clock := ManualClock())
        hub.jobs.create(twin_job(startTime="2023-11-14T22:14:20.000Z"))
        assert hub.jobs.get("job").status == JobStatus.SCHEDULED
        clock.advance(59)
        assert hub.jobs.get("job").document().get("deviceJobStatistics") is None
        clock.advance(1)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED
        assert hub.jobs.get("job").starts == NOW + 60

    def test_devices_are_selected_when_the_job_starts(self) -> None:
        hub = fleet(clock := ManualClock(), 0)
        hub.jobs.create(twin_job(startTime="2023-11-14T22:14:20Z"))
        make_device(hub, "later")
        clock.advance(60)
        assert statistics(hub)["deviceCount"] == 1

    def test_a_tier_sets_how_many_devices_a_second(self) -> None:
        clock = ManualClock()
        hub = hub_with_quota(clock, Tier.S1)
        for number in range(25):
            make_device(hub, f"d{number}")
        hub.jobs.create(twin_job())
        clock.advance(0)
        for _ in range(10):
            clock.advance(0.1)
        assert 10 <= statistics(hub)["succeededCount"] <= 12
        for _ in range(20):
            clock.advance(0.1)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED

    def test_jobs_side_by_side_share_the_rate(self) -> None:
        clock = ManualClock()
        hub = hub_with_quota(clock, Tier.S2)
        for number in range(40):
            make_device(hub, f"d{number}")
        names = [f"job{number}" for number in range(5)]
        for name in names:
            hub.jobs.create(twin_job(name))
        clock.advance(0)
        for _ in range(10):
            clock.advance(0.1)
        assert 10 <= sum(statistics(hub, name)["succeededCount"] for name in names) <= 16
        for _ in range(200):
            clock.advance(0.1)
        assert [statistics(hub, name)["succeededCount"] for name in names] == [40] * 5

    def test_a_part_meets_no_fault_of_its_own(self) -> None:
        hub = fleet(clock := ManualClock())
        hub.traffic.faults.put(FaultPlan(faults=(Fault(action=Action.ERROR),)))
        hub.jobs.create(twin_job())
        clock.advance(0)
        assert statistics(hub)["succeededCount"] == 3

    def test_state_that_cannot_be_stored_fails_the_parts_not_the_job(self) -> None:
        hub = fleet(clock := ManualClock())
        table = MemoryTable()
        table.is_full = True
        hub.persistence.store_in(table)
        hub.jobs.create(twin_job())
        clock.advance(0)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED
        assert statistics(hub)["failedCount"] == 3

    def test_parts_that_exceed_the_execution_time_fail(self) -> None:
        hub = fleet(clock := ManualClock(), 1)
        link = connect(hub, "d0", Subscription.METHODS)
        hub.jobs.create(method_job(maxExecutionTimeInSeconds=2))
        clock.advance(0)
        clock.advance(2)
        assert hub.jobs.get("job").status == JobStatus.COMPLETED
        assert statistics(hub)["failedCount"] == 1
        hub.methods.respond("d0", link.methods[0][0], MethodResponse(200, None))
        assert statistics(hub)["failedCount"] == 1

    def test_jobs_are_forgotten_after_thirty_days(self) -> None:
        hub = fleet(clock := ManualClock(), 1)
        hub.jobs.create(twin_job())
        clock.advance(0)
        clock.advance(RETENTION_SECONDS + 1)
        hub.jobs.create(twin_job("other"))
        with pytest.raises(HubError) as caught:
            hub.jobs.get("job")
        assert caught.value.code is ErrorCode.JOB_NOT_FOUND


def hub_with_quota(clock: ManualClock, tier: Tier) -> Hub:
    return Hub(clock=clock, owner_key="", names=(), quota=Quota(tier=tier))


class TestLimits:
    def test_s1_has_one_active_job_at_a_time(self) -> None:
        clock = ManualClock()
        hub = hub_with_quota(clock, Tier.S1)
        hub.jobs.create(twin_job())
        too_many = ErrorCode.THROTTLING_MAX_ACTIVE_JOB_COUNT_EXCEEDED
        assert refused(hub, twin_job("second")) is too_many
        clock.advance(0)
        hub.jobs.create(twin_job("second"))

    def test_s2_has_five_active_jobs_at_a_time(self) -> None:
        hub = hub_with_quota(ManualClock(), Tier.S2)
        for number in range(5):
            hub.jobs.create(twin_job(f"job{number}"))
        refused(hub, twin_job("one-more"))

    def test_a_job_id_is_unique(self) -> None:
        hub = fleet(clock := ManualClock())
        hub.jobs.create(twin_job())
        clock.advance(0)
        assert refused(hub, twin_job()) is ErrorCode.JOB_ALREADY_EXISTS


class TestCancelling:
    def test_before_the_start_nothing_is_written(self) -> None:
        hub = fleet(clock := ManualClock())
        hub.jobs.create(twin_job(startTime="2023-11-14T22:14:20Z"))
        assert hub.jobs.cancel("job").document()["status"] == "cancelled"
        clock.advance(60)
        assert hub.twins.get("d0").twin.tags == {"n": 0}
        assert hub.jobs.get("job").status == JobStatus.CANCELLED

    def test_active_parts_are_cancelled_and_ended_ones_stay(self) -> None:
        hub = fleet(clock := ManualClock(), 2)
        connect(hub, "d0", Subscription.METHODS)
        hub.jobs.create(method_job())
        clock.advance(0)
        hub.jobs.cancel("job")
        assert [row["status"] for row in rows(hub, "jobId = 'job'")] == ["canceled", "failed"]
        ended = hub.jobs.cancel("job").ended
        clock.advance(10)
        assert hub.jobs.cancel("job").ended == ended


def test_jobs_are_found_by_type_and_status() -> None:
    hub = fleet(clock := ManualClock(), 1)
    hub.jobs.create(twin_job("a"))
    clock.advance(0)
    hub.jobs.create(method_job("b", startTime="2030-01-01T00:00:00Z"))

    def found(job_type: JobType | None, status: JobStatus | None) -> list[str]:
        return [job.request.job_id for job in hub.jobs.find(job_type, status)]

    assert found(None, None) == ["a", "b"]
    assert found(JobType.METHOD, None) == ["b"]
    assert found(None, JobStatus.COMPLETED) == ["a"]
    assert found(JobType.TWIN, JobStatus.SCHEDULED) == []


def test_rows_can_be_filtered_by_the_documented_names_and_paged() -> None:
    hub = fleet(clock := ManualClock(), 5)
    hub.jobs.create(twin_job())
    clock.advance(0)
    condition = (
        "devices.jobs.jobType = 'scheduleUpdateTwin' AND devices.jobs.status = 'completed' "
        "AND devices.jobs.createdTimeUtc > '2016-09-01'"
    )
    assert len(rows(hub, condition)) == 5
    page = hub.queries.run("SELECT * FROM devices.jobs", 3, None)
    rest = hub.queries.run("SELECT * FROM devices.jobs", 3, page.continuation)
    assert page.item_type == "deviceJob"
    assert [row["deviceId"] for row in (*page.rows, *rest.rows)] == [f"d{n}" for n in range(5)]
    assert rest.continuation is None


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "somethingElse"},
        {"jobId": "other"},
        {"queryCondition": None},
        {"startTime": "soon"},
        {"maxExecutionTimeInSeconds": "1"},
        {"startTime": "9999-12-31T23:59:59-10:00"},
        {"maxExecutionTimeInSeconds": 0},
        {"maxExecutionTimeInSeconds": 10**400},
        {"cloudToDeviceMethod": None},
        {"cloudToDeviceMethod": {"methodName": "a b"}},
        {"cloudToDeviceMethod": {"methodName": "a", "responseTimeoutInSeconds": 1}},
    ],
)
def test_an_invalid_job_is_refused(changes: Document) -> None:
    with pytest.raises(HubError) as caught:
        make_hub().jobs.create(method_job("job", **changes))
    assert caught.value.code is ErrorCode.ARGUMENT_INVALID
