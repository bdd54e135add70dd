"""The kinds of fields that bodies are made of: shares, durations, times, names, device ids.

Each knows its JSON Schema too, so that the API's description says what validation enforces.
"""

import re
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import isodate
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from functions.rollouts.model import manifest, package_uri
from functions.rollouts.model.strategy import Share

LONGEST_DURATION = timedelta(days=365)
# The names of formats that JSON Schema does not know.
TIMEZONE_FORMAT = "iana-time-zone"
MANIFEST_FORMAT = manifest.TYPE

_SHARE = r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%$"
SHARE_ABOVE_ZERO = rf"^(?=.*[1-9]){_SHARE[1:]}"
_RATE = r"^(?=.*[1-9])[0-9]{1,2}(\.[0-9]{1,2})?%$"
# Of each unit as many digits as a year has.
_DURATION = (
    r"^P(?=[0-9T])([0-9]{1,2}W|([0-9]{1,3}D)?"
    r"(T(?=[0-9])([0-9]{1,4}H)?([0-9]{1,6}M)?([0-9]{1,8}(\.[0-9]{1,6})?S)?)?)$"
)
_DURATION_ABOVE_ZERO = rf"^(?=.*[1-9]){_DURATION[1:]}"
_LONGEST = "At most P365D in all."
_NO_DURATION = (
    "must be an ISO 8601 duration of weeks, days or times, like PT30S or P7D, and at most P365D"
)
# Microsoft Learn, "Understand the identity registry in your IoT hub": device identity properties.
_DEVICE_ID = r"^(?!\.{1,2}$)[A-Za-z0-9\-.+%_#*?!(),=@$':]{1,128}$"
_URI = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f\x7f\\/?#]+[^\s\x00-\x1f\x7f\\]*$"
_PRINTABLE = r"^[^\x00-\x1f\x7f\ud800-\udfff]+$"
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
_TIMEZONE = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$"
# What may stand unquoted in a hub query: section, then names.
_TWIN_PATH = r"^(tags|properties\.(reported|desired))(\.[A-Za-z_][A-Za-z0-9_]{0,63}){1,8}$"


class Body(BaseModel):
    """What every part of a request's body has in common."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, frozen=True, validate_default=False
    )


def share(value: Any) -> Share:
    if not isinstance(value, str) or not re.fullmatch(_SHARE, value):
        raise ValueError('must be a share like "5%", from 0% to 100% with at most two decimals')
    whole, _, rest = value.removesuffix("%").partition(".")
    return Share(int(whole) * 100 + int(rest.ljust(2, "0") or 0))


def share_above_zero(value: Any) -> Share:
    found = share(value)
    if not found.hundredths:
        raise ValueError("must be above 0%")
    return found


def whole(value: Any) -> Any:
    """JSON has one kind of number: 20.0 is the whole number 20."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rate(value: Any) -> Share:
    found = share_above_zero(value)
    if found == Share(10_000):
        raise ValueError("must be below 100%")
    return found


def _duration(value: Any) -> timedelta:
    try:
        parsed = isodate.parse_duration(value) if re.fullmatch(_DURATION, value) else None
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        parsed = None
    if not isinstance(parsed, timedelta):  # years and months have no fixed length
        raise ValueError(_NO_DURATION)  # noqa: TRY004 - pydantic reports ValueErrors
    if parsed > LONGEST_DURATION:
        raise ValueError("must be at most P365D")
    return parsed


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero and at most P365D")
    return value


def _uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f\\\ud800-\udfff]", value):
        raise ValueError("must be an absolute http or https URI with a host")
    if package_uri.is_shown_form(value):
        raise ValueError("must be whole: answers hide a URI's query behind ***")
    return value


def _manifest(value: str) -> str:
    manifest.read(value)
    return value


def _device_id(value: str) -> str:
    if not re.fullmatch(_DEVICE_ID, value):
        raise ValueError(
            "must be 1 to 128 ASCII letters, digits and - . + % _ # * ? ! ( ) , = @ $ ' :"
        )
    return value


def _printable(value: str) -> str:
    if not re.fullmatch(_PRINTABLE, value):
        raise ValueError("must not be empty, and not hold control characters")
    return value


def _twin_path(value: str) -> str:
    if not re.fullmatch(_TWIN_PATH, value):
        raise ValueError(
            "must be a twin path of letters, digits and _: tags.model, properties.reported.site.id"
        )
    return value


def _clock(value: Any) -> time:
    if not isinstance(value, str) or not re.fullmatch(_CLOCK, value):
        raise ValueError('must be a local time like "01:30"')
    return time.fromisoformat(value)


def _time(value: Any) -> datetime:
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        raise ValueError("must be an ISO 8601 time with its zone, like 2026-12-01T02:00:00Z")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time that there is") from None


@cache
def timezones() -> frozenset[str]:
    """IANA's names, without those that mean another thing on every machine, or nothing."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def _timezone(value: str) -> str:
    if value not in timezones():
        raise ValueError("must be an IANA time zone like Europe/Berlin")
    return value


def _text(pattern: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


AnyShare = Annotated[
    Share,
    BeforeValidator(share),
    PlainSerializer(str),
    _text(_SHARE, examples=["5%", "0.25%"], title="Share"),
]
Rate = Annotated[
    Share,
    BeforeValidator(_rate),
    PlainSerializer(str),
    _text(_RATE, examples=["1%", "0.25%"], title="Rate"),
]
IsWhole = BeforeValidator(whole)
ZeroOrLonger = Annotated[
    timedelta,
    BeforeValidator(_duration),
    _text(_DURATION, description=_LONGEST, examples=["PT0S", "PT30M"]),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    _text(_DURATION_ABOVE_ZERO, description=_LONGEST, examples=["PT30S", "P7D"]),
]
PackageUri = Annotated[
    str,
    Field(max_length=2048),
    AfterValidator(_uri),
    _text(_URI, maxLength=2048, format="uri", examples=["https://packages.example/fw-2.4.0.bin"]),
]
SignedManifest = Annotated[
    str,
    AfterValidator(_manifest),
    _text(manifest.PATTERN, maxLength=manifest.CHARACTERS_AT_MOST, format=MANIFEST_FORMAT),
]
DeviceId = Annotated[str, AfterValidator(_device_id), _text(_DEVICE_ID)]
TwinPath = Annotated[str, AfterValidator(_twin_path), _text(_TWIN_PATH, examples=["tags.model"])]
Clock = Annotated[time, BeforeValidator(_clock), _text(_CLOCK, examples=["01:00"])]
Time = Annotated[
    datetime,
    BeforeValidator(_time),
    _text(_TIME, format="date-time", examples=["2026-12-01T02:00:00Z"]),
]
Timezone = Annotated[
    str,
    AfterValidator(_timezone),
    _text(_TIMEZONE, format=TIMEZONE_FORMAT, examples=["Europe/Berlin"]),
]


def short_text(at_most: int) -> dict[str, Any]:
    """The JSON Schema of the texts below."""
    pattern = r"^[^\x00-\x1f\x7f]+$"
    return {"type": "string", "pattern": pattern, "minLength": 1, "maxLength": at_most}


def _short(at_most: int) -> tuple[Any, ...]:
    limits = Field(min_length=1, max_length=at_most)
    return limits, AfterValidator(_printable), WithJsonSchema(short_text(at_most))


# Texts without control characters, by how many characters they may have.
Text64 = Annotated[str, *_short(64)]
Text128 = Annotated[str, *_short(128)]
Text256 = Annotated[str, *_short(256)]
Text4000 = Annotated[str, *_short(4000)]
