"""Build the description of the API (OpenAPI 3.1) from the declared routes and their schemas."""

from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    CoreModeRef,
    DefsRef,
    GenerateJsonSchema,
    JsonSchemaMode,
    models_json_schema,
)

from functions.rollouts.model.strategy import Share
from functions.triggers.parameters import Parameter
from functions.triggers.route import Route, declared_routes
from functions.version import APP_VERSION
from functions.wire.parsing import MAX_BODY_BYTES
from functions.wire.schema import Schema

_REF = "#/components/schemas/{model}"
_KEY = {"key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}}
_PROBLEMS = {
    400: "The body is not JSON.",
    404: "The rollout or device does not exist.",
    409: "The rollout's status, an Idempotency-Key or a planHash does not allow it.",
    411: "The body was sent in chunks, without a Content-Length.",
    412: "Another revision is stored than If-Match names.",
    413: f"The body has more than {MAX_BODY_BYTES} bytes.",
    415: "The body has a Content-Encoding.",
    422: "The body or a parameter is invalid.",
    503: "The hub or the storage account does not respond, or the same request is in progress.",
}
_NO_KEY = {"description": "The function key is missing or wrong. Azure sends no body."}
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri"}}}
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "The revision, in quotes."}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_DESCRIPTION = (
    "Firmware rollouts for Azure IoT Hub. Times are ISO 8601 UTC, durations are ISO 8601, shares"
    ' are strings such as "5%". In Azure every route except /health needs a function key. A query'
    " parameter without a value is ignored. Each GET also responds to HEAD, each path to OPTIONS."
)


def build_document(base_url: str) -> dict[str, Any]:
    """Return the description of an API whose paths begin at `base_url`."""
    return {**_build_paths_and_schemas(), "servers": [{"url": base_url}]}


@cache
def _build_paths_and_schemas() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in declared_routes():
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fleet Rollout", "version": APP_VERSION, "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _KEY},
        "security": [{"key": []}],
    }


class _SchemaGenerator(GenerateJsonSchema):
    """Write defaults as a caller does, and schemas under their published names."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Share):
            return str(dft)
        if isinstance(dft, Schema):
            return dft.to_json_value()
        return super().encode_default(dft)

    def get_defs_ref(self, core_mode_ref: CoreModeRef) -> DefsRef:
        ref = super().get_defs_ref(core_mode_ref)
        core_ref, mode = core_mode_ref
        schema = _schema_classes().get(core_ref.rsplit(":")[0])
        if schema is not None:
            self._prioritized_defsref_choices[ref] = [DefsRef(schema.published_name(mode)), ref]
        return ref


@cache
def _schema_classes() -> dict[str, type[Schema]]:
    """Return all schemas by module and name."""
    return {
        f"{schema.__module__}.{schema.__qualname__}": schema for schema in _all_subclasses(Schema)
    }


def _all_subclasses(schema: type[Schema]) -> Iterator[type[Schema]]:
    for child in schema.__subclasses__():
        yield child
        yield from _all_subclasses(child)


def _schemas() -> dict[str, Any]:
    routes = declared_routes()
    written = {schema for route in routes for schema in (route.response, route.problem) if schema}
    read = {route.body for route in routes if route.body}
    used: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((schema, "validation") for schema in read),
        *((schema, "serialization") for schema in written),
    ]
    _, schemas = models_json_schema(used, ref_template=_REF, schema_generator=_SchemaGenerator)
    return dict(sorted(schemas["$defs"].items()))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [_parameter(item) for item in route.parameters],
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = _request_body(route.body, is_required=route.is_body_required)
    if route.is_public:
        operation["security"] = []
    return operation


def _request_body(body: type[Schema], *, is_required: bool) -> dict[str, Any]:
    content = {
        "schema": _ref(body, "validation"),
        "examples": {
            name.replace(" ", "-"): {"summary": name, "value": value}
            for name, value in body.body_examples.items()
        },
    }
    return {"required": is_required, "content": {"application/json": content}}


def _parameter(item: Parameter) -> dict[str, Any]:
    return {
        "name": item.name,
        "in": item.where,
        "required": item.where == "path",
        "description": item.description,
        "schema": dict(item.schema),
    }


def _responses(route: Route) -> dict[str, Any]:
    schema = _ref(route.response, "serialization") if route.response else {"type": "object"}
    responses: dict[str, Any] = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {route.media_type: {"schema": schema}},
        }
        for status in route.statuses
    }
    if HTTPStatus.CREATED in route.statuses:
        for status, response in responses.items():
            if route.method == "POST" or status == str(int(HTTPStatus.CREATED)):
                response["headers"] = _LOCATION
    if route.is_tagged:
        for response in responses.values():
            response["headers"] = response.get("headers", {}) | _ETAG
    if not route.is_public:
        responses["401"] = _NO_KEY
    return responses | {str(status): _problem(status, route.problem) for status in route.problems}


def _problem(status: int, schema: type[Schema]) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": _ref(schema, "serialization")}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        problem["headers"] = _RETRY_AFTER
    return problem


def _ref(schema: type[Schema], mode: JsonSchemaMode) -> dict[str, str]:
    return {"$ref": _REF.format(model=schema.published_name(mode))}
