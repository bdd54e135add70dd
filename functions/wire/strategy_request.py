"""The strategy of a request: its shape, its limits and its defaults."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    Window,
)
from functions.wire.fields import (
    SHARE_ABOVE_ZERO,
    AnyShare,
    Body,
    Clock,
    Duration,
    IsWhole,
    Rate,
    Text64,
    Timezone,
    TwinPath,
    ZeroOrLonger,
    share_above_zero,
    whole,
)

WAVES_AT_MOST = 50
PATHS_AT_MOST = 3
# Microsoft Learn, "IoT Hub quotas and throttling": devices in a hub.
HUB_AT_MOST = 1_000_000
_DEFAULTS = Strategy()


def _size(value: Any) -> int | Share:
    number = whole(value)
    if isinstance(number, int) and not isinstance(number, bool):
        if not 1 <= number <= HUB_AT_MOST:
            raise ValueError(f"must be from 1 to {HUB_AT_MOST} devices")
        return number
    try:
        return share_above_zero(value)
    except ValueError:
        message = 'must be a number of devices, or a share above zero like "1%"'
        raise ValueError(message) from None


def _different(days: list[Day]) -> list[Day]:
    if len(set(days)) < len(days):
        raise ValueError("must name each day once")
    return days


Size = Annotated[
    Any,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": HUB_AT_MOST},
                {"type": "string", "pattern": SHARE_ABOVE_ZERO},
            ],
            "examples": ["1%", 50],
        }
    ),
]


class WaveRequest(Body):
    size: Size
    name: Text64 | None = None
    approval: bool = False

    def record(self) -> WavePlan:
        return WavePlan(size=self.size, name=self.name, approval=self.approval)


class FailureGateRequest(Body):
    """0% < acceptable < unacceptable < 100%."""

    acceptable: Rate = _DEFAULTS.failure_gate.acceptable
    unacceptable: Rate = _DEFAULTS.failure_gate.unacceptable
    confidence: Annotated[float, Field(gt=0.5, le=0.9999)] = _DEFAULTS.failure_gate.confidence
    on_breach: OnBreach = _DEFAULTS.failure_gate.on_breach

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.acceptable >= self.unacceptable:
            raise ValueError("must be 0% < acceptable < unacceptable < 100%")
        return self

    def record(self) -> FailureGate:
        return FailureGate(
            acceptable=self.acceptable,
            unacceptable=self.unacceptable,
            confidence=self.confidence,
            on_breach=self.on_breach,
        )


class RetryRequest(Body):
    attempts: Annotated[int, Field(ge=1, le=100), IsWhole] = _DEFAULTS.retry.attempts
    on: Annotated[list[RetryOn], Field(max_length=3)] = sorted(_DEFAULTS.retry.on)
    initial_delay: Duration = _DEFAULTS.retry.initial_delay
    max_delay: Duration = _DEFAULTS.retry.max_delay

    def record(self) -> Retry:
        return Retry(
            attempts=self.attempts,
            on=frozenset(self.on),
            initial_delay=self.initial_delay,
            max_delay=self.max_delay,
        )


class OfflineRequest(Body):
    policy: OfflinePolicy = _DEFAULTS.offline.policy
    deadline: Duration = _DEFAULTS.offline.deadline


class WindowRequest(Body):
    """Local times in an IANA time zone; an end that is not after the start is on the next day."""

    start: Clock
    end: Clock
    timezone: Timezone
    days: Annotated[list[Day], AfterValidator(_different)] = Field(
        default=[], max_length=7, json_schema_extra={"uniqueItems": True}
    )

    def record(self) -> Window:
        return Window(
            start=self.start, end=self.end, timezone=self.timezone, days=frozenset(self.days)
        )


class StrategyRequest(Body):
    waves: list[WaveRequest] = Field(default=[], max_length=WAVES_AT_MOST)
    success_share: AnyShare = _DEFAULTS.success_share
    failure_gate: FailureGateRequest = FailureGateRequest()
    stratify_by: list[TwinPath] = Field(default=[], max_length=PATHS_AT_MOST)
    soak: ZeroOrLonger = _DEFAULTS.soak
    max_in_flight: Annotated[int, Field(ge=1, le=HUB_AT_MOST), IsWhole] | None = None
    timeout: Duration = _DEFAULTS.timeout
    retry: RetryRequest = RetryRequest()
    offline: OfflineRequest = OfflineRequest()
    window: WindowRequest | None = None

    def record(self) -> Strategy:
        return Strategy(
            waves=tuple(wave.record() for wave in self.waves),
            success_share=self.success_share,
            failure_gate=self.failure_gate.record(),
            stratify_by=tuple(self.stratify_by),
            soak=self.soak,
            max_in_flight=self.max_in_flight,
            timeout=self.timeout,
            retry=self.retry.record(),
            offline=Offline(policy=self.offline.policy, deadline=self.offline.deadline),
            window=self.window.record() if self.window else None,
        )
