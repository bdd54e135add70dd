"""The body of `POST /rollouts`: its shape, its limits, and what is said when it is wrong."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import isodate
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from functions.errors import FieldError, InvalidError, MalformedError, TooLargeError
from functions.rollouts.model import (
    Firmware,
    Offline,
    OfflinePolicy,
    Retry,
    RetryOn,
    Strategy,
)
from functions.use_cases.create import NewRollout

BODY_BYTES_AT_MOST = 1_048_576
DEVICES_AT_MOST = 1000
FIELD_ERRORS_AT_MOST = 100
LABELS_AT_MOST = 20
LONGEST_DURATION = timedelta(days=365)

# Microsoft Learn, "Understand the identity registry in your IoT hub": device identity properties.
_DEVICE_ID = re.compile(r"[A-Za-z0-9\-.+%_#*?!(),=@$':]{1,128}")
_NO_DURATION = "must be an ISO 8601 duration of weeks, days or times, like PT30S or P7D"
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")
# The strategy's later parts: known to the contract, and not built yet. Refused rather than ignored.
_LATER = frozenset(
    {
        "/planHash",
        "/startAt",
        "/strategy/failureGate",
        "/strategy/maxInFlight",
        "/strategy/soak",
        "/strategy/stratifyBy",
        "/strategy/successShare",
        "/strategy/waves",
        "/strategy/window",
        "/target/condition",
    }
)


def parse(body: bytes) -> NewRollout:
    """Read the body. Raises TooLargeError, MalformedError, InvalidError."""
    if len(body) > BODY_BYTES_AT_MOST:
        raise TooLargeError(f"The body is over {BODY_BYTES_AT_MOST} bytes.")
    try:
        request = _CreateRollout.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _refusal(error) from None
    repeated = list(_repeated(request.target.device_ids))
    if repeated:
        raise InvalidError("A device may be named only once.", repeated[:FIELD_ERRORS_AT_MOST])
    return NewRollout(
        firmware=request.firmware.record(),
        device_ids=tuple(request.target.device_ids),
        strategy=request.strategy.record(),
        labels=request.labels,
        body_hash=_hash(body),
    )


def _hash(body: bytes) -> str:
    """The same for the same JSON however it is spaced and ordered, in every version of this app."""
    canonical = json.dumps(json.loads(body), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _duration(value: Any) -> timedelta:
    try:
        parsed = isodate.parse_duration(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        parsed = None
    if not isinstance(parsed, timedelta):  # years and months have no fixed length
        raise ValueError(_NO_DURATION)  # noqa: TRY004 - pydantic reports ValueErrors
    if not timedelta(0) < parsed <= LONGEST_DURATION:
        raise ValueError("must be longer than zero and at most P365D")
    return parsed


def _uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("must be an absolute http or https URI with a host")
    return value


def _device_id(value: str) -> str:
    if not _DEVICE_ID.fullmatch(value) or value in {".", ".."}:
        raise ValueError(
            "must be 1 to 128 ASCII letters, digits and - . + % _ # * ? ! ( ) , = @ $ ' :"
        )
    return value


def _printable(value: str) -> str:
    if not _PRINTABLE.fullmatch(value):
        raise ValueError("must not be empty, and not hold control characters")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Printable = Annotated[str, AfterValidator(_printable)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class _Firmware(_Body):
    version: Annotated[Printable, Field(max_length=64)]
    package_uri: Annotated[str, Field(max_length=2048), AfterValidator(_uri)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    size_bytes: Annotated[int, Field(ge=1, le=2**53)] | None = None

    def record(self) -> Firmware:
        return Firmware(
            version=self.version,
            package_uri=self.package_uri,
            sha256=self.sha256.lower() if self.sha256 else None,
            size_bytes=self.size_bytes,
        )


class _Target(_Body):
    device_ids: Annotated[
        list[Annotated[str, AfterValidator(_device_id)]],
        Field(min_length=1, max_length=DEVICES_AT_MOST),
    ]


class _Retry(_Body):
    attempts: Annotated[int, Field(ge=1, le=100)] = Retry().attempts
    on: list[RetryOn] = sorted(Retry().on)
    initial_delay: Duration = Retry().initial_delay
    max_delay: Duration = Retry().max_delay


class _Offline(_Body):
    policy: OfflinePolicy = Offline().policy
    deadline: Duration = Offline().deadline


class _Strategy(_Body):
    timeout: Duration = Strategy().timeout
    retry: _Retry = _Retry()
    offline: _Offline = _Offline()

    def record(self) -> Strategy:
        return Strategy(
            timeout=self.timeout,
            retry=Retry(
                attempts=self.retry.attempts,
                on=frozenset(self.retry.on),
                initial_delay=self.retry.initial_delay,
                max_delay=self.retry.max_delay,
            ),
            offline=Offline(policy=self.offline.policy, deadline=self.offline.deadline),
        )


class _CreateRollout(_Body):
    firmware: _Firmware
    target: _Target
    strategy: _Strategy = _Strategy()
    labels: Annotated[
        dict[
            Annotated[Printable, Field(max_length=64)],
            Annotated[str, Field(max_length=256)],
        ],
        Field(max_length=LABELS_AT_MOST),
    ] = {}


def _repeated(device_ids: Sequence[str]) -> Iterator[FieldError]:
    first: dict[str, int] = {}
    for number, device_id in enumerate(device_ids):
        at = first.setdefault(device_id, number)
        if at != number:
            pointer = f"/target/deviceIds/{number}"
            yield FieldError(pointer, f"{device_id!r} is named already, at {at}")


def _refusal(error: ValidationError) -> InvalidError | MalformedError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(entry["type"] == "json_invalid" for entry in errors):
        return MalformedError(f"The body is not JSON: {errors[0]['msg']}")
    fields = [_field_error(entry) for entry in errors[:FIELD_ERRORS_AT_MOST]]
    return InvalidError(f"{len(errors)} of the fields are not valid.", fields)


def _field_error(entry: Any) -> FieldError:
    pointer = "".join(f"/{_escaped(str(part))}" for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        known = pointer in _LATER
        message = "this version does not support it" if known else "there is no such field"
        return FieldError(pointer[:256], message)
    return FieldError(pointer[:256], entry["msg"].removeprefix("Value error, "))


def _escaped(part: str) -> str:
    """RFC 6901, section 3."""
    return part.replace("~", "~0").replace("/", "~1")
