"""Scheduled jobs: a method or a twin update on every device that a condition selects.

Source: Microsoft Learn, "Schedule jobs on multiple devices", and "IoT Hub quotas and throttling":
a limited number of jobs at a time, and of devices per second. The devices are selected once, when
the job starts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from simulator.hub.model.clock import Clock, Timer
from simulator.hub.model.errors import ErrorCode, HubError, invalid
from simulator.hub.model.job import Job, JobRequest, JobStatus, JobType, Part, PartStatus
from simulator.hub.model.methods import MethodRequest, MethodResponse, Methods
from simulator.hub.model.query.pages import Queries
from simulator.hub.model.query.syntax import MAX_QUERY_CHARACTERS
from simulator.hub.model.twins import Twins

RETENTION_SECONDS = 30 * 24 * 3600
MAX_EXECUTION_SECONDS = 2**31 - 1
"""This hub's own limit; the service's is unverified."""
_MAX_STARTS_AT_ONCE = 100
"""Parts started in one step without a rate, so that other requests can run in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """None is no limit. Jobs before their start time count as active (unverified)."""

    active: int | None = None
    devices_per_second: float | None = None


class Jobs:
    """All jobs. `admit` is called with a device id before its part starts; may raise HubError."""

    def __init__(
        self,
        *,
        clock: Clock,
        queries: Queries,
        methods: Methods,
        twins: Twins,
        limits: JobLimits,
        admit: Callable[[str], object],
    ) -> None:
        self._clock = clock
        self._queries = queries
        self._methods = methods
        self._twins = twins
        self._limits = limits
        self._admit = admit
        self._jobs: dict[str, Job] = {}
        self._waiting: dict[str, deque[Part]] = {}
        self._timers: dict[str, list[Timer]] = {}
        self._serial = 0
        self._next_start = 0.0

    def create(self, request: JobRequest) -> Job:
        """Create a job.

        Raises JOB_ALREADY_EXISTS, THROTTLING_MAX_ACTIVE_JOB_COUNT_EXCEEDED, ARGUMENT_INVALID, or
        PRECONDITION_FAILED for a condition that is too long.
        """
        now = self._clock.now()
        self._forget_old(now)
        self._check(request)
        start = now if request.start is None else request.start
        job = Job(request=request, created=now, starts=start)
        self._jobs[request.job_id] = job
        self._schedule(job, max(0.0, start - now), partial(self._start, job))
        return job

    def get(self, job_id: str) -> Job:
        """Return a job. Raises JOB_NOT_FOUND."""
        job = self._jobs.get(job_id)
        if job is None:
            raise HubError(ErrorCode.JOB_NOT_FOUND, f"job {job_id} does not exist")
        if job.status is JobStatus.QUEUED and job.starts > self._clock.now():
            job.status = JobStatus.SCHEDULED
        return job

    def cancel(self, job_id: str) -> Job:
        """Cancel a job. Methods already sent continue; a job that has ended is unchanged."""
        job = self.get(job_id)
        if not job.has_ended:
            for part in job.parts:
                self._end_part(part, PartStatus.CANCELED)
            self._end(job, JobStatus.CANCELLED)
        return job

    def find(self, job_type: JobType | None, status: JobStatus | None) -> list[Job]:
        """Return the jobs of a type and status, oldest first. None matches any."""
        jobs = [self.get(job_id) for job_id in self._jobs]
        return [
            job
            for job in jobs
            if job_type in (None, job.request.type) and status in (None, job.status)
        ]

    def rows(self) -> list[Part]:
        """Return every device's part of every job, by serial: the rows of `devices.jobs`."""
        parts = [part for job in self._jobs.values() for part in job.parts]
        return sorted(parts, key=lambda part: part.serial)

    def _check(self, request: JobRequest) -> None:
        if isinstance(request.work, MethodRequest):
            request.work.check()
        if not 1 <= request.max_execution_seconds <= MAX_EXECUTION_SECONDS:
            raise invalid(f"maxExecutionTimeInSeconds must be 1 to {MAX_EXECUTION_SECONDS}")
        if len(request.condition) > MAX_QUERY_CHARACTERS:
            raise HubError(ErrorCode.PRECONDITION_FAILED, "the query condition is too long")
        if request.job_id in self._jobs:
            message = f"job {request.job_id} already exists"
            raise HubError(ErrorCode.JOB_ALREADY_EXISTS, message)
        active = sum(not job.has_ended for job in self._jobs.values())
        if self._limits.active is not None and active >= self._limits.active:
            raise HubError(
                ErrorCode.THROTTLING_MAX_ACTIVE_JOB_COUNT_EXCEEDED,
                f"{active} of {self._limits.active} jobs are active already",
            )

    def _start(self, job: Job) -> None:
        """Select the devices. An invalid condition fails the job, not its creation."""
        try:
            found = self._queries.matching(_query(job.request.condition))
        except HubError as error:
            job.failure_reason = f"ErrorCode:{error.code.wire_name};{error.message}"
            self._end(job, JobStatus.FAILED)
            return
        now = self._clock.now()
        job.status = JobStatus.RUNNING
        for entry in found:
            self._serial += 1
            part = Part(
                serial=self._serial,
                job=job,
                device_id=entry.device.device_id,
                created=now,
                updated=now,
            )
            job.parts.append(part)
        job.unfinished = len(job.parts)
        self._waiting[job.request.job_id] = deque(job.parts)
        self._schedule(job, job.request.max_execution_seconds, partial(self._out_of_time, job))
        self._step(job)

    def _step(self, job: Job) -> None:
        """Start the next parts, and schedule those after them."""
        rate = self._limits.devices_per_second
        waiting = self._waiting[job.request.job_id]
        for _ in range(min(len(waiting), _MAX_STARTS_AT_ONCE if rate is None else 1)):
            self._begin(waiting.popleft())
        if waiting and not job.has_ended:
            self._schedule(job, self._until_next_start(rate), partial(self._step, job))
        self._end_if_done(job)

    def _until_next_start(self, rate: float | None) -> float:
        """Return the seconds until the next part may start. All jobs share the hub's rate."""
        if rate is None:
            return 0.0
        now = self._clock.now()
        self._next_start = max(now, self._next_start) + 1 / rate
        return self._next_start - now

    def _begin(self, part: Part) -> None:
        part.status = PartStatus.RUNNING
        part.started = part.updated = self._clock.now()
        try:
            self._admit(part.device_id)
            self._work(part)
        except HubError as error:
            self._fail(part, error)

    def _work(self, part: Part) -> None:
        work = part.job.request.work
        if isinstance(work, MethodRequest):
            self._methods.invoke(part.device_id, work, partial(self._on_response, part))
        else:
            self._twins.patch(part.device_id, work, "*")
            self._end_part(part, PartStatus.COMPLETED)

    def _on_response(self, part: Part, result: MethodResponse | HubError) -> None:
        if isinstance(result, HubError):
            self._fail(part, result)
        elif not part.has_ended:
            part.response = result
            self._end_part(part, PartStatus.COMPLETED)
        self._end_if_done(part.job)

    def _fail(self, part: Part, error: HubError) -> None:
        if not part.has_ended:
            part.error = error
            self._end_part(part, PartStatus.FAILED)

    def _out_of_time(self, job: Job) -> None:
        """Fail every part that has not ended; the job itself is completed (unverified)."""
        late = HubError(ErrorCode.GENERIC_TIMEOUT, "the job's execution time has expired")
        for part in job.parts:
            self._fail(part, late)
        self._end(job, JobStatus.COMPLETED)

    def _end_if_done(self, job: Job) -> None:
        if not job.has_ended and not job.unfinished:
            self._end(job, JobStatus.COMPLETED)

    def _end_part(self, part: Part, status: PartStatus) -> None:
        if not part.has_ended:
            part.status = status
            part.job.unfinished -= 1
            part.ended = part.updated = self._clock.now()

    def _end(self, job: Job, status: JobStatus) -> None:
        job.status = status
        job.ended = self._clock.now()
        self._waiting.pop(job.request.job_id, None)
        for timer in self._timers.pop(job.request.job_id, ()):
            timer.cancel()

    def _schedule(self, job: Job, seconds: float, callback: Callable[[], None]) -> None:
        """Schedule a callback. Besides it, only the start and the end of the job can be due."""
        timers = self._timers.setdefault(job.request.job_id, [])
        timers[2:] = [self._clock.call_later(seconds, callback)]

    def _forget_old(self, now: float) -> None:
        for job_id, job in list(self._jobs.items()):
            if job.ended is not None and job.ended < now - RETENTION_SECONDS:
                del self._jobs[job_id]


def _query(condition: str) -> str:
    text = condition.strip()
    everything = "SELECT * FROM devices"
    return everything if text in ("", "*") else f"{everything} WHERE {text}"
