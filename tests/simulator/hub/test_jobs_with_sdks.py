"""Jobs with Microsoft's Python SDKs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, JobRequest, QuerySpecification, Twin

from simulator.hub import LocalHub
from tests.simulator.hub.conftest import Connect
from tests.simulator.hub.test_with_sdks import refused, respond_to_methods
from tests.waiting import eventually


@pytest.fixture
def jobs(hub: LocalHub) -> Iterator[IoTHubJobManager]:
    manager = IoTHubJobManager.from_connection_string(hub.connection_string)
    manager.protocol.config.connection.verify = str(hub.ca_file)
    yield manager
    manager.protocol.close()


def job(kind: str, **fields: Any) -> JobRequest:
    request = JobRequest(job_id="job", type=kind, query_condition="*", **fields)
    request.max_execution_time_in_seconds = 60
    return request


def ended(jobs: IoTHubJobManager) -> Any:
    eventually(lambda: jobs.get_scheduled_job("job").status == "completed")
    return jobs.get_scheduled_job("job")


def test_a_method_is_called_on_every_device(
    hub: LocalHub, service: IoTHubRegistryManager, jobs: IoTHubJobManager, connect: Connect
) -> None:
    respond_to_methods(connect(hub.create_device("one")))
    hub.create_device("offline")
    call = CloudToDeviceMethod(method_name="echo", payload={"a": 1})
    created = jobs.create_scheduled_job(
        "job", job("scheduleDeviceMethod", cloud_to_device_method=call, start_time=None)
    )
    assert (created.job_id, created.status) == ("job", "queued")

    statistics = ended(jobs).device_job_statistics
    rows = service.query_iot_hub(
        QuerySpecification(query="SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'job'")
    ).items
    assert (statistics.succeeded_count, statistics.failed_count) == (1, 1)
    responses = {row.device_id: row.additional_properties["outcome"] for row in rows}
    assert responses["one"]["deviceMethodResponse"]["payload"] == {"name": "echo", "got": {"a": 1}}
    assert responses["offline"]["deviceMethodResponse"] is None


def test_twins_are_updated_and_jobs_are_listed(
    hub: LocalHub, service: IoTHubRegistryManager, jobs: IoTHubJobManager
) -> None:
    hub.create_device("one")
    request = job("scheduleUpdateTwin", update_twin=Twin(etag="*", tags={"a": 1}))
    request.start_time = datetime.now(UTC)
    jobs.create_scheduled_job("job", request)
    again = refused(lambda: jobs.create_scheduled_job("job", request))
    assert ended(jobs).update_twin.tags == {"a": 1}
    assert service.get_twin("one").tags == {"a": 1}
    assert again == (409, "JobAlreadyExists")
    listed = jobs.query_scheduled_jobs("scheduleUpdateTwin", "completed")
    assert [item["jobId"] for item in listed.items] == ["job"]


def test_a_scheduled_job_can_be_cancelled(hub: LocalHub, jobs: IoTHubJobManager) -> None:
    hub.create_device("one")
    request = job("scheduleUpdateTwin", update_twin=Twin(etag="*", tags={"a": 1}))
    request.start_time = datetime.now(UTC) + timedelta(hours=1)
    jobs.create_scheduled_job("job", request)
    assert jobs.get_scheduled_job("job").status == "scheduled"
    jobs.cancel_scheduled_job("job")
    assert jobs.get_scheduled_job("job").status == "cancelled"
    assert refused(lambda: jobs.get_scheduled_job("other")) == (404, "JobNotFound")
