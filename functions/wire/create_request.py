"""The body of `POST /rollouts`, and of a plan: shape, limits, what is said when it is wrong."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from functions.errors import FieldError, InvalidError, MalformedError, TooLargeError
from functions.rollouts.model import manifest
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.wire.fields import (
    Body,
    DeviceId,
    IsWhole,
    PackageUri,
    SignedManifest,
    Text64,
    Text4000,
    Time,
    short_text,
)
from functions.wire.strategy_request import StrategyRequest

BODY_BYTES_AT_MOST = 16 * 1_048_576
DEVICES_AT_MOST = 100_000
FIELD_ERRORS_AT_MOST = 100
LABELS_AT_MOST = 20
# A start that is later than this is a mistyped one.
LATEST_START = timedelta(days=366)


def parse(body: bytes) -> NewRollout:
    """Read the body. Raises TooLargeError, MalformedError, InvalidError."""
    request = validated(CreateRollout, body)
    repeated = list(_repeated(request.target.device_ids or ()))
    if repeated:
        raise InvalidError("A device may be named only once.", repeated[:FIELD_ERRORS_AT_MOST])
    alike = list(_alike([wave.name for wave in request.strategy.waves]))
    if alike:
        raise InvalidError("Waves must have different names.", alike)
    return NewRollout(
        firmware=_completed(request.firmware.record()),
        device_ids=tuple(request.target.device_ids or ()),
        condition=request.target.condition,
        strategy=request.strategy.record(),
        start_at=request.start_at,
        labels=request.labels,
        plan_hash=request.plan_hash,
        body_hash=_hash(body),
    )


def validated[T: Body](model: type[T], body: bytes) -> T:
    """The body as `model`. Raises TooLargeError, MalformedError, InvalidError."""
    if len(body) > BODY_BYTES_AT_MOST:
        raise TooLargeError(f"The body is over {BODY_BYTES_AT_MOST} bytes.")
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _refusal(error) from None


def _hash(body: bytes) -> str:
    """The same for the same JSON however it is spaced and ordered, in every version of this app."""
    canonical = json.dumps(json.loads(body), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class FirmwareRequest(Body):
    version: Text64
    package_uri: PackageUri
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    size_bytes: Annotated[int, Field(ge=1, le=2**53), IsWhole] | None = None
    manifest: SignedManifest | None = None

    def record(self) -> Firmware:
        return Firmware(
            version=self.version,
            package_uri=self.package_uri,
            sha256=self.sha256.lower() if self.sha256 else None,
            size_bytes=self.size_bytes,
            manifest=self.manifest,
        )


def _described_target(schema: dict[str, Any]) -> None:
    array, text, absent = ({"type": kind} for kind in ("array", "string", "null"))
    schema["properties"]["deviceIds"]["anyOf"][0]["uniqueItems"] = True
    schema["oneOf"] = [
        {"required": ["deviceIds"], "properties": {"deviceIds": array, "condition": absent}},
        {"required": ["condition"], "properties": {"deviceIds": absent, "condition": text}},
    ]


class TargetRequest(Body):
    """Either a list of device ids, or a condition: the WHERE part of an IoT Hub query."""

    model_config = ConfigDict(json_schema_extra=_described_target)

    device_ids: (
        Annotated[list[DeviceId], Field(min_length=1, max_length=DEVICES_AT_MOST)] | None
    ) = None
    condition: Text4000 | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.device_ids is None) == (self.condition is None):
            raise ValueError("must have either deviceIds or a condition")
        return self


Labels = Annotated[
    dict[Text64, Annotated[str, Field(max_length=256)]],
    Field(max_length=LABELS_AT_MOST),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": LABELS_AT_MOST,
            "propertyNames": short_text(64),
            "additionalProperties": {"type": "string", "maxLength": 256},
        }
    ),
]


class CreateRollout(Body):
    firmware: FirmwareRequest
    target: TargetRequest
    strategy: StrategyRequest = StrategyRequest()
    start_at: Time | None = Field(default=None, description="Within a year from now.")
    labels: Labels = Field(default={})
    plan_hash: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @field_validator("start_at")
    @classmethod
    def _not_too_late(cls, value: datetime | None) -> datetime | None:
        if value is not None and value > datetime.now(UTC) + LATEST_START:
            raise ValueError("must be within a year from now")
        return value


def _repeated(device_ids: Sequence[str]) -> Iterator[FieldError]:
    first: dict[str, int] = {}
    for number, device_id in enumerate(device_ids):
        at = first.setdefault(device_id, number)
        if at != number:
            pointer = f"/target/deviceIds/{number}"
            yield FieldError(pointer, f"{device_id!r} is named already, at {at}")


def _alike(names: Sequence[str | None]) -> Iterator[FieldError]:
    for number, name in enumerate(names):
        at = names.index(name)
        if name is not None and at != number:
            yield FieldError(f"/strategy/waves/{number}/name", f"{name!r} is the name of wave {at}")


def _completed(firmware: Firmware) -> Firmware:
    try:
        return manifest.complete(firmware)
    except manifest.DifferingError as error:
        fields = [FieldError(f"/firmware/{name}", why) for name, why in error.differences.items()]
        raise InvalidError("The firmware and its manifest differ.", fields) from None


def _refusal(error: ValidationError) -> InvalidError | MalformedError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(entry["type"] == "json_invalid" for entry in errors):
        return MalformedError(f"The body is not JSON: {errors[0]['msg']}")
    fields = [_field_error(entry) for entry in errors[:FIELD_ERRORS_AT_MOST]]
    return InvalidError(f"{len(errors)} of the fields are not valid.", fields)


def _field_error(entry: Any) -> FieldError:
    way, message = entry["loc"], entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        message = "there is no such field"
    elif way[0:1] == ("labels",) and way[2:] == ("[key]",):  # pydantic's word for a label's name
        way, message = way[:2], f"the label's name: {message}"
    pointer = "".join(f"/{_escaped(str(part))}" for part in way)
    return FieldError(pointer[:256], message)


def _escaped(part: str) -> str:
    """RFC 6901, section 3."""
    return part.replace("~", "~0").replace("/", "~1")
