"""Jobs over the service API: `/jobs/v2`.

Source: the REST reference, "Jobs", api-version 2021-04-12, and what the SDKs send and expect.
"""

from datetime import UTC, datetime
from enum import StrEnum

from simulator.hub.model.clock import timestamp
from simulator.hub.model.device import check_device_id
from simulator.hub.model.errors import invalid
from simulator.hub.model.hub import Hub
from simulator.hub.model.job import JobRequest, JobStatus, JobType
from simulator.hub.model.json_types import Document, Json, to_json
from simulator.hub.model.twins import read_twin_write
from simulator.hub.rest.bodies import as_object, method_request
from simulator.hub.rest.operations import Request
from simulator.hub.rest.responses import Response, json_response

DEFAULT_MAX_EXECUTION_SECONDS = 3600
"""The default of Node's service SDK, which always sends it; the service's own is unverified."""
_GENERATED_CLIENT = "iothubgatewayserviceapis"


async def create_job(hub: Hub, request: Request) -> Response:
    """Create a job. The response is minimal; GET shows the rest."""
    job = hub.jobs.create(job_request(request.json, request.ids[0]))
    return json_response(
        {"jobId": job.request.job_id, "type": job.request.type, "status": JobStatus.QUEUED}
    )


async def get_job(hub: Hub, request: Request) -> Response:
    return json_response(hub.jobs.get(request.ids[0]).document())


async def cancel_job(hub: Hub, request: Request) -> Response:
    return json_response(hub.jobs.cancel(request.ids[0]).document())


async def query_jobs(hub: Hub, request: Request) -> Response:
    """Return all jobs on one page: an array for most SDKs, as the service does.

    The generated client in Python's SDK follows the published API description and reads only an
    object, so it gets an object.
    """
    jobs = hub.jobs.find(
        _choice(request.query.get("jobType"), JobType),
        _choice(request.query.get("jobStatus"), JobStatus),
    )
    items: list[Json] = [job.document() for job in jobs]
    body: Json = items
    if _GENERATED_CLIENT in request.headers.get("User-Agent", ""):
        body = {"items": items, "type": "jobResponse", "continuationToken": None}
    return Response(200, to_json(body), {"x-ms-item-type": "jobResponse"})


def job_request(body: Json, job_id: str) -> JobRequest:
    """Read the body of a PUT. Raises ARGUMENT_INVALID."""
    document = as_object(body)
    if document.get("jobId", job_id) != job_id:
        raise invalid("jobId in the body is not the one in the path")
    check_device_id(job_id)
    job_type = _choice(document.get("type"), JobType)
    condition, seconds = document.get("queryCondition"), document.get("maxExecutionTimeInSeconds")
    if not isinstance(condition, str):
        raise invalid("queryCondition must be a string")
    if seconds is None:
        seconds = DEFAULT_MAX_EXECUTION_SECONDS
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise invalid("maxExecutionTimeInSeconds must be a whole number")
    name = "updateTwin" if job_type is JobType.TWIN else "cloudToDeviceMethod"
    work = as_object(document.get(name), name)
    return JobRequest(
        job_id=job_id,
        work=read_twin_write(work) if job_type is JobType.TWIN else method_request(work),
        echo={name: work},
        condition=condition,
        start=_time(document),
        max_execution_seconds=seconds,
    )


def _time(document: Document) -> float | None:
    text = document.get("startTime")
    if text in (None, ""):
        return None
    try:
        time = datetime.fromisoformat(str(text))
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        timestamp(seconds)
    except (ValueError, OverflowError) as error:
        raise invalid("startTime must be an ISO 8601 time") from error
    return seconds


def _choice[Word: StrEnum](value: Json, words: type[Word]) -> Word | None:
    """Read one of the texts of an enum, in any case; None if absent."""
    if not value:
        return None
    for word in words:
        if isinstance(value, str) and word.lower() == value.lower():
            return word
    raise invalid(f"{value!r} must be one of {', '.join(words)}")
