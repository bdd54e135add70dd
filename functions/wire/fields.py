"""Field types of bodies: shares, durations, times and whole numbers.

Each type parses, checks and writes its values. It also has their JSON Schema, so that the
description of the API states what validation enforces. `texts` has the types that are strings.
"""

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any

import isodate
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from functions.rollouts.model.strategy import Share

# A longer duration is taken for a typing error.
MAX_DURATION = timedelta(days=365)

SHARE = r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%$"
SHARE_ABOVE_ZERO = rf"^(?=.*[1-9]){SHARE[1:]}"
_RATE = r"^(?=.*[1-9])[0-9]{1,2}(\.[0-9]{1,2})?%$"
# Each unit has as many digits as a year needs.
_DURATION = (
    r"^P(?=[0-9T])([0-9]{1,2}W|([0-9]{1,3}D)?"
    r"(T(?=[0-9])([0-9]{1,4}H)?([0-9]{1,6}M)?([0-9]{1,8}(\.[0-9]{1,6})?S)?)?)$"
)
_DURATION_ABOVE_ZERO = rf"^(?=.*[1-9]){_DURATION[1:]}"
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)


def described_as_text(pattern: str, **more: Any) -> WithJsonSchema:
    """Describe, in JSON Schema, a field whose JSON is a string that matches `pattern`."""
    schema = {"type": "string", "pattern": pattern, **more}
    return WithJsonSchema(schema, mode="validation")


def parse_share(value: Any) -> Share:
    """Parse a share from 0% to 100%. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(SHARE, value):
        raise ValueError('must be a share from "0%" to "100%" with at most two decimals')
    whole, _, rest = value.removesuffix("%").partition(".")
    return Share(int(whole) * 100 + int(rest.ljust(2, "0") or 0))


def parse_share_above_zero(value: Any) -> Share:
    """Parse a share above 0%. Raises ValueError."""
    share = parse_share(value)
    if not share.hundredths:
        raise ValueError("must be above 0%")
    return share


def whole_float_to_int(value: Any) -> Any:
    """Convert 20.0 to 20, because JSON has one kind of number. Return other values unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parse_rate(value: Any) -> Share:
    rate = parse_share_above_zero(value)
    if rate == Share(10_000):
        raise ValueError("must be below 100%")
    return rate


def _parse_duration(value: Any) -> timedelta:
    parsed = _duration(value) if isinstance(value, str) else None
    if parsed is None:
        raise ValueError(
            "must be an ISO 8601 duration in weeks, days, hours, minutes or seconds, such as PT30S"
            " or P7D, of at most P365D"
        )
    if parsed > MAX_DURATION:
        raise ValueError("must be at most P365D")
    return parsed


@lru_cache(maxsize=256)
def _duration(text: str) -> timedelta | None:
    try:
        parsed = isodate.parse_duration(text) if re.fullmatch(_DURATION, text) else None
    except (ValueError, OverflowError, ArithmeticError):
        return None
    # Years and months have no fixed length, so they are no timedelta.
    return parsed if isinstance(parsed, timedelta) else None


def _check_above_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero and at most P365D")
    return value


def _parse_clock(value: Any) -> time:
    if not isinstance(value, str) or not re.fullmatch(_CLOCK, value):
        raise ValueError('must be a local time such as "01:30"')
    return time.fromisoformat(value)


def _parse_time(value: Any) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        raise ValueError("must be an ISO 8601 time with a time zone, such as 2026-12-01T02:00:00Z")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a valid date and time") from None


@lru_cache(maxsize=256)
def duration_text(value: timedelta) -> str:
    """Return an ISO 8601 duration."""
    return str(isodate.duration_isoformat(value)) if value else "PT0S"


def time_text(value: datetime) -> str:
    """Return an ISO 8601 time in UTC, to the millisecond."""
    return f"{value.replace(tzinfo=None).isoformat('T', 'milliseconds')}Z"


def _clock_text(value: time) -> str:
    return f"{value:%H:%M}"


AnyShare = Annotated[
    Share,
    BeforeValidator(parse_share),
    PlainSerializer(str, return_type=str),
    described_as_text(SHARE, examples=["5%", "0.25%"], title="Share"),
]
Rate = Annotated[
    Share,
    BeforeValidator(_parse_rate),
    PlainSerializer(str, return_type=str),
    described_as_text(_RATE, examples=["1%", "0.25%"], title="Rate"),
]
AcceptsWholeFloat = BeforeValidator(whole_float_to_int)
ZeroOrLonger = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(duration_text, return_type=str),
    described_as_text(_DURATION, description="At most P365D.", examples=["PT0S", "PT30M"]),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    AfterValidator(_check_above_zero),
    PlainSerializer(duration_text, return_type=str),
    described_as_text(
        _DURATION_ABOVE_ZERO, description="At most P365D.", examples=["PT30S", "P7D"]
    ),
]
Clock = Annotated[
    time,
    BeforeValidator(_parse_clock),
    PlainSerializer(_clock_text, return_type=str),
    described_as_text(_CLOCK, examples=["01:00"]),
]
Time = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    PlainSerializer(time_text, return_type=str),
    described_as_text(_TIME, format="date-time", examples=["2026-12-01T02:00:00Z"]),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Count = Annotated[int, Field(ge=0)]
