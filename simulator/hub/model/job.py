"""A scheduled job and its part on each device, and their JSON.

Source: Microsoft Learn, "Schedule jobs on multiple devices", sections "Jobs properties" and
"Jobs to update device twin properties", and "Queries for IoT Hub jobs". A job's status is spelled
`cancelled`, a part's `canceled`, as in the SDKs of other languages.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from simulator.hub.model.clock import timestamp
from simulator.hub.model.errors import HubError
from simulator.hub.model.json_types import Document
from simulator.hub.model.methods import MethodRequest, MethodResponse
from simulator.hub.model.twins import TwinWrite


class JobType(StrEnum):
    METHOD = "scheduleDeviceMethod"
    TWIN = "scheduleUpdateTwin"


class JobStatus(StrEnum):
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    """Ended in time; parts may have failed."""
    FAILED = "failed"
    CANCELLED = "cancelled"


class PartStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request to create a job."""

    job_id: str
    work: MethodRequest | TwinWrite
    """What each device gets."""
    echo: Document
    """`work` as it was sent."""
    condition: str
    """The WHERE part of a query; `*` for all devices."""
    start: float | None
    """Unix time; None for now."""
    max_execution_seconds: int

    @property
    def type(self) -> JobType:
        return JobType.METHOD if isinstance(self.work, MethodRequest) else JobType.TWIN


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One device's part of a job, a row of `devices.jobs`. Times are Unix seconds."""

    serial: int
    job: "Job"
    device_id: str
    created: float
    updated: float
    started: float | None = None
    ended: float | None = None
    status: PartStatus = PartStatus.PENDING
    response: MethodResponse | None = None
    error: HubError | None = None

    @property
    def has_ended(self) -> bool:
        return self.status not in (PartStatus.PENDING, PartStatus.RUNNING)

    @property
    def document(self) -> Document:
        """Return the row of `devices.jobs`. The form of `error` is unverified."""
        response: Document | None = None
        if self.response is not None:
            response = {"status": self.response.status, "payload": self.response.payload}
        document: Document = {
            "deviceId": self.device_id,
            "jobId": self.job.request.job_id,
            "jobType": self.job.request.type.value,
            "status": self.status.value,
            "startTimeUtc": timestamp(self.started),
            "endTimeUtc": timestamp(self.ended),
            "createdDateTimeUtc": timestamp(self.created),
            "lastUpdatedDateTimeUtc": timestamp(self.updated),
            "outcome": {"deviceMethodResponse": response},
        }
        if self.error is not None:
            code = f"{self.error.code.value}"
            document["error"] = {"code": code, "description": self.error.message}
        return document


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A job and its progress. Times are Unix seconds."""

    request: JobRequest
    created: float
    starts: float
    ended: float | None = None
    status: JobStatus = JobStatus.QUEUED
    failure_reason: str | None = None
    parts: list[Part] = field(default_factory=list)
    """Empty until the job starts."""
    unfinished: int = 0
    """Parts that have not ended."""

    @property
    def has_ended(self) -> bool:
        return self.ended is not None

    def document(self) -> Document:
        """Return the JSON of GET; `queryCondition` and the work are as they were sent."""
        document: Document = {
            "jobId": self.request.job_id,
            "type": self.request.type,
            "status": self.status,
            "createdTime": timestamp(self.created),
            "startTime": timestamp(self.starts),
            "maxExecutionTimeInSeconds": self.request.max_execution_seconds,
            "queryCondition": self.request.condition,
            **self.request.echo,
        }
        if self.ended is not None:
            document["endTime"] = timestamp(self.ended)
        if self.failure_reason is not None:
            document["failureReason"] = self.failure_reason
        if self.parts:
            document["deviceJobStatistics"] = self._statistics()
        return document

    def _statistics(self) -> Document:
        """Count the parts; cancelled ones only in `deviceCount` (unverified)."""
        count = dict.fromkeys(PartStatus, 0)
        for part in self.parts:
            count[part.status] += 1
        return {
            "deviceCount": len(self.parts),
            "failedCount": count[PartStatus.FAILED],
            "succeededCount": count[PartStatus.COMPLETED],
            "runningCount": count[PartStatus.RUNNING],
            "pendingCount": count[PartStatus.PENDING],
        }
