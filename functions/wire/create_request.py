"""The body of `POST /rollouts` and `POST /rollouts/plan`: its schema, limits and examples."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.texts import HIDDEN
from functions.wire import firmware
from functions.wire.fields import Time
from functions.wire.firmware import NewFirmwareSchema, add_manifest_values
from functions.wire.parsing import parse_as
from functions.wire.repeated_devices import refuse_repeated_devices
from functions.wire.schema import Schema
from functions.wire.strategy import StrategySchema
from functions.wire.texts import (
    Condition,
    DeviceId,
    LabelValue,
    Text64,
    text_schema,
)
from functions.wire.wave_names import check_wave_names

MAX_DEVICES = 100_000
MAX_LABELS = 20
# A later start is taken for a typing error.
MAX_START_DELAY = timedelta(days=366)

_STRATEGY_IN_WAVES = {
    "waves": [{"name": "canary", "size": "1%"}, {"size": 50, "approval": True}],
    "successShare": "95%",
    "failureGate": {"acceptable": "1%", "unacceptable": "10%", "onBreach": "rollback"},
    "stratifyBy": ["tags.model"],
    "soak": "PT1H",
}
_STRATEGY_AT_NIGHT = {
    "window": {
        "start": "22:00", "end": "05:00", "days": ["Mon", "Tue"], "timezone": "Europe/Berlin",
    },
    "maxInFlight": 20,
    "timeout": "PT30M",
    "retry": {"attempts": 5, "on": ["unreachable", "timedOut", "reported"]},
    "offline": {"policy": "wait", "deadline": "P7D"},
}  # fmt: skip

_EXAMPLES: Mapping[str, Any] = {
    "minimal": {
        "firmware": {key: firmware.EXAMPLE[key] for key in ("version", "packageUri")},
        "target": {"deviceIds": ["thermostat-1"]},
    },
    "in waves": {
        "firmware": firmware.EXAMPLE,
        "target": {"condition": "tags.site = 'berlin'"},
        "strategy": _STRATEGY_IN_WAVES,
        "labels": {"build": "1234"},
    },
    "of a version in the catalogue": {
        "firmware": {"version": "2.4.0"},
        "target": {"deviceIds": ["thermostat-1"]},
    },
    "with joiners": {
        "firmware": firmware.EXAMPLE,
        "target": {"condition": "tags.site = 'berlin'", "joiners": True},
        "strategy": {"waves": [{"name": "canary", "size": "5%"}]},
    },
    "at night": {
        "firmware": firmware.EXAMPLE,
        "target": {"deviceIds": ["thermostat-1", "thermostat-2"]},
        "strategy": _STRATEGY_AT_NIGHT,
        "startAt": "2026-12-01T02:00:00Z",
    },
}


def parse(body: bytes) -> NewRollout:
    """Parse the body. Raises TooLargeError, MalformedError, InvalidError."""
    request = parse_as(CreateRolloutSchema, body)
    device_ids = tuple(request.target.device_ids or ())
    refuse_repeated_devices(device_ids, "/target/deviceIds")
    check_wave_names([wave.name for wave in request.strategy.waves])
    return NewRollout(
        firmware=_read_firmware(request.firmware),
        device_ids=device_ids,
        condition=request.target.condition,
        joiners=request.target.joiners,
        strategy=request.strategy.to_record(),
        start_at=request.start_at,
        labels=request.labels,
        plan_hash=request.plan_hash,
        body_hash=_hash(body),
    )


def _hash(body: bytes) -> str:
    """Hash the JSON of a body, ignoring spacing and the order of names.

    Hashes are stored, so every release must return the same hash for a body.
    """
    canonical = json.dumps(json.loads(body), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _describe_target(schema: dict[str, Any]) -> None:
    array, text, absent = ({"type": kind} for kind in ("array", "string", "null"))
    schema["properties"]["deviceIds"]["anyOf"][0]["uniqueItems"] = True
    no_joiners = {"const": False}
    schema["oneOf"] = [
        {
            "required": ["deviceIds"],
            "properties": {"deviceIds": array, "condition": absent, "joiners": no_joiners},
        },
        {"required": ["condition"], "properties": {"deviceIds": absent, "condition": text}},
    ]


class NewTargetSchema(Schema):
    """Either a list of device ids or a condition: the WHERE part of an IoT Hub query."""

    request_name = "TargetRequest"
    model_config = ConfigDict(json_schema_extra=_describe_target)

    device_ids: Annotated[list[DeviceId], Field(min_length=1, max_length=MAX_DEVICES)] | None = None
    condition: Condition | None = None
    joiners: bool = Field(
        default=False,
        description="Whether devices that come to meet the condition later join the rollout.",
    )

    @field_validator("joiners")
    @classmethod
    def _check_condition(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("condition", ...) is None:
            raise ValueError("needs a condition, because no device joins a list of deviceIds")
        return value

    @model_validator(mode="after")
    def _check_one_is_given(self) -> Self:
        if (self.device_ids is None) == (self.condition is None):
            raise ValueError("must have either deviceIds or a condition")
        return self


Labels = Annotated[
    dict[Text64, LabelValue],
    Field(max_length=MAX_LABELS),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_LABELS,
            "propertyNames": text_schema(64),
            "additionalProperties": {
                "type": "string",
                "pattern": rf"^[^{HIDDEN}]*$",
                "maxLength": 256,
            },
        }
    ),
]


class CreateRolloutSchema(Schema):
    """The rollout that is requested."""

    request_name = "CreateRollout"
    body_examples = _EXAMPLES

    firmware: NewFirmwareSchema
    target: NewTargetSchema
    strategy: StrategySchema = StrategySchema()
    start_at: Time | None = Field(default=None, description="Within a year from now.")
    labels: Labels = Field(default={})
    plan_hash: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @field_validator("start_at")
    @classmethod
    def _check_start(cls, value: datetime | None) -> datetime | None:
        if value is not None and value > datetime.now(UTC) + MAX_START_DELAY:
            raise ValueError("must be within a year from now")
        return value


def _read_firmware(given: NewFirmwareSchema) -> Firmware:
    """Return the firmware; of a version alone, without a package URI. Raises InvalidError."""
    others = sorted(given.model_fields_set - {"version"})
    if not given.package_uri and others:
        detail = "is required, unless version is given alone: the catalogue then has the rest"
        raise InvalidError("1 field is invalid.", [FieldError("/firmware/packageUri", detail)])
    record: Firmware = given.to_record()
    return add_manifest_values(record, "/firmware")
