"""The strategy in JSON: read from requests, written in responses, and stored.

To add an option, add a field to the record in `functions.rollouts.model.strategy` and a field of
the same name here. These schemas also read stored strategies: a limit may be widened, but to narrow
one, convert the stored strategies too.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    OnConflict,
    ResolveTarget,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
)
from functions.wire.fields import (
    SHARE,
    SHARE_ABOVE_ZERO,
    AcceptsWholeFloat,
    AnyShare,
    Clock,
    Duration,
    Rate,
    ZeroOrLonger,
    parse_share,
    parse_share_above_zero,
    whole_float_to_int,
)
from functions.wire.schema import RequestSchema, omitted_if_none
from functions.wire.texts import StoredName64, Timezone, TwinPath

MAX_WAVES = 50
MAX_STRATIFY_PATHS = 3
# Microsoft Learn, "IoT Hub quotas and throttling": devices in a hub.
MAX_HUB_DEVICES = 1_000_000
_DEFAULTS = Strategy()
_WEEK = list(Day)


def _parse_size(value: Any) -> int | Share:
    number = _parse_devices(value, at_least=1)
    if number is not None:
        return number
    try:
        return parse_share_above_zero(value)
    except ValueError:
        raise ValueError('must be a number of devices, or a share above 0% such as "1%"') from None


def _parse_devices_or_share(value: Any) -> int | Share:
    number = _parse_devices(value, at_least=0)
    if number is not None:
        return number
    try:
        return parse_share(value)
    except ValueError:
        raise ValueError('must be a number of devices, or a share such as "25%"') from None


def _parse_devices(value: Any, at_least: int) -> int | None:
    """Return a number of devices, or None if the value is no number. Raises ValueError."""
    number = whole_float_to_int(value)
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if not at_least <= number <= MAX_HUB_DEVICES:
        raise ValueError(f"must be from {at_least} to {MAX_HUB_DEVICES} devices")
    return number


def _size_value(size: int | Share) -> int | str:
    return size if isinstance(size, int) else str(size)


def _check_different(days: list[Day]) -> list[Day]:
    if len(set(days)) < len(days):
        raise ValueError("must name each day once")
    return days


def _in_week_order(days: Collection[Day]) -> list[Day]:
    return sorted(days, key=_WEEK.index)


Size = Annotated[
    Any,
    BeforeValidator(_parse_size),
    PlainSerializer(_size_value, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_HUB_DEVICES},
                {"type": "string", "pattern": SHARE_ABOVE_ZERO},
            ],
            "examples": ["1%", 50],
        },
        mode="validation",
    ),
]


DevicesOrShare = Annotated[
    Any,
    BeforeValidator(_parse_devices_or_share),
    PlainSerializer(_size_value, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_HUB_DEVICES},
                {"type": "string", "pattern": SHARE},
            ],
            "examples": ["25%", 3],
        },
        mode="validation",
    ),
]


MaxInFlight = Annotated[int, Field(ge=1, le=MAX_HUB_DEVICES), AcceptsWholeFloat]


class WavePlanSchema(RequestSchema):
    """One wave as it is requested."""

    request_name = "WaveRequest"
    record_type = WavePlan

    size: Size
    name: StoredName64 | None = omitted_if_none()
    approval: bool = False


class FailureGateSchema(RequestSchema):
    """0% < acceptable < unacceptable < 100%."""

    record_type = FailureGate

    acceptable: Rate = _DEFAULTS.failure_gate.acceptable
    unacceptable: Rate = _DEFAULTS.failure_gate.unacceptable
    confidence: Annotated[float, Field(gt=0.5, le=0.9999)] = _DEFAULTS.failure_gate.confidence
    on_breach: OnBreach = _DEFAULTS.failure_gate.on_breach

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.acceptable >= self.unacceptable:
            raise ValueError("must be 0% < acceptable < unacceptable < 100%")
        return self


class RetrySchema(RequestSchema):
    """Which failures are tried again, how often, and after which delays."""

    record_type = Retry

    attempts: Annotated[int, Field(ge=1, le=100), AcceptsWholeFloat] = _DEFAULTS.retry.attempts
    on: Annotated[
        list[RetryOn],
        Field(max_length=len(RetryOn)),
        PlainSerializer(sorted, return_type=list[RetryOn]),
    ] = sorted(_DEFAULTS.retry.on)
    initial_delay: Duration = _DEFAULTS.retry.initial_delay
    max_delay: Duration = _DEFAULTS.retry.max_delay


class OfflineSchema(RequestSchema):
    """What happens to a device that is offline when it is invoked."""

    record_type = Offline

    policy: OfflinePolicy = _DEFAULTS.offline.policy
    deadline: Duration = _DEFAULTS.offline.deadline


class WindowSchema(RequestSchema):
    """Local times in an IANA time zone; an end that is not after the start is on the next day."""

    record_type = Window

    start: Clock
    end: Clock
    timezone: Timezone
    days: Annotated[
        list[Day],
        AfterValidator(_check_different),
        PlainSerializer(_in_week_order, return_type=list[Day]),
    ] = Field(default=[], max_length=7, json_schema_extra={"uniqueItems": True})


class StrategySchema(RequestSchema):
    """How a rollout is carried out; every field has a default."""

    record_type = Strategy

    waves: list[WavePlanSchema] = Field(default=[], max_length=MAX_WAVES)
    success_share: AnyShare | None = _DEFAULTS.success_share
    min_completed: DevicesOrShare = _DEFAULTS.min_completed
    failure_gate: FailureGateSchema = FailureGateSchema()
    max_not_started: DevicesOrShare = _DEFAULTS.max_not_started
    stratify_by: list[TwinPath] = Field(default=[], max_length=MAX_STRATIFY_PATHS)
    soak: ZeroOrLonger = _DEFAULTS.soak
    max_in_flight: MaxInFlight | None = None
    timeout: Duration = _DEFAULTS.timeout
    retry: RetrySchema = RetrySchema()
    offline: OfflineSchema = OfflineSchema()
    on_conflict: OnConflict = _DEFAULTS.on_conflict
    resolve_target: ResolveTarget = _DEFAULTS.resolve_target
    window: WindowSchema | None = None
    verify_version: bool = _DEFAULTS.verify_version
    when_already_running: WhenAlreadyRunning = _DEFAULTS.when_already_running

    @model_validator(mode="after")
    def _check_freeze(self) -> Self:
        if self.failure_gate.on_breach is OnBreach.FREEZE and not self.stratify_by:
            raise ValueError(
                'with "onBreach": "freeze" needs stratifyBy, which says what a stratum is; name'
                ' twin paths such as "tags.model", or choose "pause"'
            )
        return self

    @classmethod
    @lru_cache(maxsize=256)  # a strategy never changes, and is shown and stored often
    def of(cls, strategy: Strategy, /, **others: Any) -> Self:
        """Return the schema of a strategy."""
        return super().of(strategy, **others)
