"""The base of all schemas: how records become response bodies and request bodies become records.

A schema is a pydantic model of a request or response body, or of a part of one. Field names are
those of the record; in JSON they are in camelCase. OpenAPI publishes a class `ThingSchema` as
`ThingRequest` where it is read and as `ThingAnswer` where it is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

# JSON Schema keywords that limit requests. Responses do not state them, so that limits may change.
_LIMITS = frozenset(
    {
        "examples", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maximum",
        "minItems", "minLength", "minimum", "pattern", "uniqueItems",
    }
)  # fmt: skip


def omitted_if_none() -> Any:
    """Declare a field that a response omits if its value is None."""
    return Field(default=None, exclude_if=_is_absent)


def _is_absent(value: Any) -> bool:
    return value is None


class Schema(BaseModel):
    """A response body, or a part of one.

    `request_name` and `response_name` are set where the name in OpenAPI does not follow the rule.
    """

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        frozen=True,
        json_schema_serialization_defaults_required=True,
    )

    request_name: ClassVar[str] = ""
    response_name: ClassVar[str] = ""
    body_examples: ClassVar[Mapping[str, Any]] = {}  # bodies by what they show

    @classmethod
    def published_name(cls, mode: str) -> str:
        """Return the name in OpenAPI, by pydantic's mode: validation or serialization."""
        stem = cls.__name__.removesuffix("Schema")
        if mode == "validation":
            return str(cls.__dict__.get("request_name", f"{stem}Request"))
        return str(cls.__dict__.get("response_name", f"{stem}Answer"))

    @classmethod
    def of(cls, record: Any, /, **others: Any) -> Self:
        """Return the schema of a record, without validating it.

        `others` are the fields that the record does not have, or has in another form.
        """
        values = {
            name: _to_schema(part, getattr(record, name))
            for name, part in _parts(cls).items()
            if name not in others
        }
        return cls.model_construct(**values, **others)

    def to_json_value(self) -> dict[str, Any]:
        """Return the body as plain JSON types."""
        return self.model_dump(by_alias=True, warnings=False)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        if handler.mode == "serialization":
            properties = handler.resolve_ref_schema(described)["properties"]
            for field in cls.model_fields.values():
                shown = properties[str(field.alias)]
                shown.pop("default", None)
                if field.exclude_if is not None:
                    _remove_null(shown)
        return described


class RequestSchema(Schema):
    """A request body, or a part of one, that converts to a record.

    Responses contain some parts too, such as the strategy, in a form that requests accept.
    """

    record_type: ClassVar[type]

    def to_record(self) -> Any:
        """Convert to the record; lists become the tuples and sets of its fields."""
        containers = _containers(self.record_type)
        return self.record_type(
            **{
                name: _to_record(getattr(self, name), containers.get(name))
                for name in type(self).model_fields
            }
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = super().__get_pydantic_json_schema__(schema, handler)
        if handler.mode == "serialization":
            for shown in handler.resolve_ref_schema(described)["properties"].values():
                _remove_limits(shown)
        return described


class PageSchema(Schema):
    """One page of a list; `next_link` is the URL of the next page."""

    value: Sequence[Any]
    next_link: str | None = omitted_if_none()


@cache
def _parts(schema: type[Schema]) -> Mapping[str, type[Schema] | None]:
    """Return each field's own schema, or None for a plain value."""
    return {
        name: next(_schemas_in(field.annotation), None)
        for name, field in schema.model_fields.items()
    }


def _schemas_in(annotation: Any) -> Iterator[type[Schema]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, Schema):
            yield annotation
        return
    for argument in get_args(annotation):
        yield from _schemas_in(argument)


def _to_schema(part: type[Schema] | None, value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_to_schema(part, item) for item in value]
    return value if part is None or value is None else part.of(value)


@cache
def _containers(record_type: type) -> Mapping[str, type]:
    """Return tuple or frozenset for each field of a record that is one."""
    origins = {name: get_origin(kind) for name, kind in get_type_hints(record_type).items()}
    return {name: kind for name, kind in origins.items() if kind in (tuple, frozenset)}


def _to_record(value: Any, container: type | None) -> Any:
    if container is not None:
        return container(_to_record(item, None) for item in value)
    return value.to_record() if isinstance(value, RequestSchema) else value


def _remove_null(shown: dict[str, Any]) -> None:
    kinds = [kind for kind in shown.pop("anyOf") if kind != {"type": "null"}]
    shown.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


def _remove_limits(shown: dict[str, Any]) -> None:
    for name in _LIMITS & shown.keys():
        del shown[name]
    for part in (*shown.get("anyOf", ()), *([shown["items"]] if "items" in shown else ())):
        _remove_limits(part)
