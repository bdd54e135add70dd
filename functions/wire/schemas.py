"""The shapes of what the API answers, for its description; a test holds `render` to them.

A field with a `default_factory` may be absent, and is never null.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Day, OfflinePolicy, OnBreach, RetryOn
from functions.rollouts.model.wave import WaveStatus

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Link = Annotated[str, Field(json_schema_extra={"format": "uri"})]
PartState = Literal["ok", "failing"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class FieldProblem(_Answer):
    """`pointer` is a JSON Pointer into the body."""

    pointer: str
    detail: str


class Problem(_Answer):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list)


class HealthParts(_Answer):
    hub: PartState
    storage: PartState


class HealthProblem(Problem):
    """The problem details of an app that lacks hub or storage."""

    parts: HealthParts


class ReasonAnswer(_Answer):
    code: str
    message: str


class ErrorAnswer(_Answer):
    code: ErrorCode
    message: str


class FirmwareAnswer(_Answer):
    version: str
    package_uri: str = Field(description="Without user and fragment; *** stands for its query.")
    sha256: str | None
    size_bytes: int | None
    manifest: str | None


class TargetAnswer(_Answer):
    """A list of few devices, a condition, or how many devices were listed."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    device_ids: list[str] = Field(default_factory=list)
    condition: str = Field(default_factory=str)
    device_count: Count = Field(default_factory=int)


class CountsAnswer(_Answer):
    total: Count
    queued: Count
    updating: Count
    completed: Count
    failed: Count
    cancelled: Count
    skipped: Count


class WaveAnswer(_Answer):
    name: str
    size: Count
    approval: bool
    status: WaveStatus
    counts: CountsAnswer
    started_at: Time | None
    ended_at: Time | None


class WavePlanAnswer(_Answer):
    size: int | str
    approval: bool
    name: str = Field(default_factory=str)


class FailureGateAnswer(_Answer):
    acceptable: str
    unacceptable: str
    confidence: float
    on_breach: OnBreach


class RetryAnswer(_Answer):
    attempts: int
    on: list[RetryOn]
    initial_delay: str
    max_delay: str


class OfflineAnswer(_Answer):
    policy: OfflinePolicy
    deadline: str


class WindowAnswer(_Answer):
    start: str
    end: str
    days: list[Day]
    timezone: str


class StrategyAnswer(_Answer):
    waves: list[WavePlanAnswer]
    success_share: str
    failure_gate: FailureGateAnswer
    stratify_by: list[str]
    soak: str
    max_in_flight: int | None
    timeout: str
    retry: RetryAnswer
    offline: OfflineAnswer
    window: WindowAnswer | None


class MethodAnswerShown(_Answer):
    """The device's own answer to the direct method."""

    status: int
    payload: Any


class DeviceUpdateAnswer(_Answer):
    device_id: str
    wave: str
    state: DeviceState
    attempt: int
    version: str
    method: MethodAnswerShown | None
    firmware_status: str | None
    progress_percent: int | None
    error: ErrorAnswer | None
    previous_version: str | None
    queued_at: Time
    dispatched_at: Time | None
    updated_at: Time
    ended_at: Time | None


class StepAnswer(_Answer):
    state: DeviceState
    attempt: int
    at: Time
    message: str


class DeviceUpdateInFullAnswer(DeviceUpdateAnswer):
    explanation: str
    history: list[StepAnswer]


class DeviceHistoryAnswer(DeviceUpdateInFullAnswer):
    rollout_id: str
    rollout_status: RolloutStatus
    firmware: FirmwareAnswer


class RolloutAnswer(_Answer):
    id: str
    status: RolloutStatus
    status_reason: ReasonAnswer | None
    firmware: FirmwareAnswer
    target: TargetAnswer
    strategy: StrategyAnswer
    labels: dict[str, str]
    created_at: Time
    start_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    counts: CountsAnswer
    waves: list[WaveAnswer]
    rollback_of: str | None
    rolled_back_by: str | None
    devices: list[DeviceUpdateAnswer] = Field(default_factory=list)


class EventAnswer(_Answer):
    at: Time
    action: str
    by: str
    message: str


class PlannedWaveAnswer(_Answer):
    name: str
    size: Count
    approval: bool


class ConflictAnswer(_Answer):
    rollout_id: str
    devices: Count
    examples: list[str]


class PlanAnswer(_Answer):
    devices: Count
    exact: bool
    waves: list[PlannedWaveAnswer]
    conflicts: list[ConflictAnswer]
    expected_duration: str
    quota_minimum_seconds: float
    limited_by: str
    hub_messages: Count
    plan_hash: str


class RolloutsAnswer(_Answer):
    value: list[RolloutAnswer]
    next_link: Link = Field(default_factory=str)


class DeviceUpdatesAnswer(_Answer):
    value: list[DeviceUpdateAnswer]
    next_link: Link = Field(default_factory=str)


class DeviceHistoriesAnswer(_Answer):
    value: list[DeviceHistoryAnswer]
    next_link: Link = Field(default_factory=str)


class EventsAnswer(_Answer):
    value: list[EventAnswer]
    next_link: Link = Field(default_factory=str)


class HealthAnswer(_Answer):
    status: Literal["healthy"]
    parts: HealthParts
