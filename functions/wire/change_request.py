"""The body of `PATCH /rollouts/{id}`: a merge patch of the strategy (RFC 7396), and the reason.

A field that is left out stays as it is; null stands for none where a create accepts null. Objects
are merged, lists are replaced as a whole.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self, cast

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from functions.errors import FieldError, InvalidError
from functions.rollouts.model.strategy import Strategy
from functions.wire.command_request import CommandSchema
from functions.wire.create_request import CreateRolloutSchema
from functions.wire.fields import AnyShare, Clock, Duration, ZeroOrLonger
from functions.wire.parsing import UNKNOWN_FIELD, parse_as, to_request_error
from functions.wire.schema import Schema
from functions.wire.strategy import (
    MAX_WAVES,
    DevicesOrShare,
    FailureGateSchema,
    MaxInFlight,
    StrategySchema,
    WavePlanSchema,
    WindowSchema,
)
from functions.wire.texts import Text256, Timezone
from functions.wire.wave_names import check_wave_names

type ApplyChange = Callable[[Strategy], Strategy]

_STRATEGY = "/strategy"
_EXAMPLES: Mapping[str, Any] = {
    "a stricter gate": {
        "strategy": {"failureGate": {"unacceptable": "5%"}, "maxInFlight": 20},
        "reason": "the canary runs hot",
        "by": "ada",
    },
    "more waves": {
        "strategy": {"waves": [{"name": "canary", "size": "1%"}, {"name": "pilot", "size": 200}]},
        "reason": "another step before the rest",
    },
}


def _unchanged() -> Any:
    """Declare a field that may be left out."""
    return Field(default=None)


class _PatchSchema(Schema):
    """An object of which only the given fields count. It is described without defaults."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _check_some_is_given(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have at least one field to change")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = super().__get_pydantic_json_schema__(schema, handler)
        resolved = handler.resolve_ref_schema(described)
        resolved.pop("required", None)
        for shown in resolved["properties"].values():
            shown.pop("default", None)
        return described


class FailureGatePatchSchema(_PatchSchema, FailureGateSchema):
    """The changed fields of the failure gate."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        """Accept any rates: their order is checked together with the rates that stay."""
        return self


class WindowPatchSchema(_PatchSchema, WindowSchema):
    """The changed fields of the window; a rollout without a window needs a whole one."""

    start: Clock = _unchanged()
    end: Clock = _unchanged()
    timezone: Timezone = _unchanged()


class StrategyPatchSchema(_PatchSchema):
    """The fields of the strategy that may be changed; those that are left out stay as they are."""

    failure_gate: FailureGatePatchSchema = _unchanged()
    success_share: AnyShare | None = _unchanged()
    min_completed: DevicesOrShare = _unchanged()
    max_not_started: DevicesOrShare = _unchanged()
    max_in_flight: MaxInFlight | None = _unchanged()
    window: WindowPatchSchema | None = _unchanged()
    soak: ZeroOrLonger = _unchanged()
    timeout: Duration = _unchanged()
    waves: Annotated[
        list[WavePlanSchema],
        Field(
            max_length=MAX_WAVES,
            description="All waves; those that have opened first, as they are.",
        ),
    ] = _unchanged()


class ChangeRolloutSchema(CommandSchema):
    """A change of the strategy, its reason, and the name of the caller."""

    request_name = "ChangeRollout"
    body_examples = _EXAMPLES

    strategy: StrategyPatchSchema
    reason: Text256

    def apply(self, strategy: Strategy) -> Strategy:
        """Return the changed strategy. Raises InvalidError for values that do not fit together."""
        patch = self.strategy.model_dump(by_alias=True, exclude_unset=True, warnings=False)
        return merge_into(strategy, patch, _STRATEGY)


def parse(body: bytes) -> ChangeRolloutSchema:
    """Parse the body of a change. Raises TooLargeError, MalformedError, InvalidError."""
    try:
        request = parse_as(ChangeRolloutSchema, body)
    except InvalidError as error:
        raise InvalidError(str(error), [_explain(field) for field in error.fields]) from None
    if "waves" in request.strategy.model_fields_set:
        check_wave_names([wave.name for wave in request.strategy.waves])
    return request


def merge_into(strategy: Strategy, patch: Mapping[str, Any], base: str) -> Strategy:
    """Return the strategy with a merge patch in JSON, which has the JSON Pointer `base`.

    Raises InvalidError for values that do not fit together.
    """
    merged = _merge(StrategySchema.of(strategy).to_json_value(), patch)
    try:
        changed = StrategySchema.model_validate_json(json.dumps(merged), strict=True)
    except ValidationError as error:
        raise to_request_error(error, base) from None
    return cast("Strategy", changed.to_record())


def _merge(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(value)
    for name, new in patch.items():
        old = merged.get(name)
        both_objects = isinstance(old, dict) and isinstance(new, dict)
        merged[name] = _merge(old, new) if both_objects else new  # type: ignore[arg-type]  # a dict
    return merged


def _explain(field: FieldError) -> FieldError:
    """Say of a field that is not accepted what may be changed."""
    if field.detail != UNKNOWN_FIELD:
        return field
    parent, _, name = field.pointer.rpartition("/")
    if parent == _STRATEGY:
        changeable = ", ".join(sorted(_names(StrategyPatchSchema)))
        what = "cannot be changed" if name in _names(StrategySchema) else UNKNOWN_FIELD
        return FieldError(field.pointer, f"{what}; of the strategy, these can: {changeable}")
    if not parent and name in _names(CreateRolloutSchema):
        return FieldError(field.pointer, "cannot be changed; only the strategy can, in part")
    return field


def _names(schema: type[Schema]) -> frozenset[str]:
    return frozenset(str(field.alias) for field in schema.model_fields.values())
