"""The API described (OpenAPI 3.1), from the same models that validate what comes in."""

import copy
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from functions.rollouts.model.strategy import Share
from functions.triggers.routes import ROUTES, Parameter, Route
from functions.wire import examples
from functions.wire.command_request import RetrySteeringRequest, SteeringRequest
from functions.wire.create_request import BODY_BYTES_AT_MOST, CreateRollout

_REF = "#/components/schemas/{model}"
_KEY = {"key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}}
_PROBLEMS = {
    400: "The body is not JSON.",
    404: "There is no such rollout or device.",
    409: "The rollout's status, an Idempotency-Key or a planHash does not allow it.",
    413: f"The body is over {BODY_BYTES_AT_MOST} bytes.",
    422: "JSON, or a parameter, but not valid.",
    503: "Hub or storage cannot be reached, or the same request is under way.",
}
_NO_KEY = {"description": "The function key is missing or wrong. Azure says so, without a body."}
_LOCATION = {"Location": {"schema": {"type": "string", "format": "uri"}}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    CreateRollout: examples.CREATE,
    RetrySteeringRequest: examples.RETRY,
    SteeringRequest: examples.STEERING,
}
_DESCRIPTION = (
    "Firmware rollouts for Azure IoT Hub. Times are ISO 8601 UTC, durations ISO 8601, shares"
    ' strings like "5%". In Azure every route but /health needs a function key. A query parameter'
    " without a value is as if it had not been sent."
)


def document(base_url: str) -> dict[str, Any]:
    """The description, for an API whose paths begin at `base_url`."""
    described = copy.copy(_described())
    return {**described, "servers": [{"url": base_url}]}


@cache
def _described() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fleet Rollout", "version": "1", "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _KEY},
        "security": [{"key": []}],
    }


class _SchemaGenerator(GenerateJsonSchema):
    """Writes defaults as a caller would."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Share):
            return str(dft)
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", by_alias=True)
        return super().encode_default(dft)


def _schemas() -> dict[str, Any]:
    shown = {route.answer for route in ROUTES if route.answer is not None}
    shown |= {route.problem for route in ROUTES}
    _, schemas = models_json_schema(
        [(model, "validation") for model in (*_EXAMPLES, *shown)],
        ref_template=_REF,
        schema_generator=_SchemaGenerator,
    )
    return dict(sorted(schemas["$defs"].items()))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [_parameter(item) for item in route.parameters],
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body is CreateRollout,
            "content": {
                "application/json": {
                    "schema": _ref(route.body),
                    "examples": {
                        name.replace(" ", "-"): {"summary": name, "value": value}
                        for name, value in _EXAMPLES[route.body].items()
                    },
                }
            },
        }
    if route.open_to_all:
        operation["security"] = []
    return operation


def _parameter(item: Parameter) -> dict[str, Any]:
    return {
        "name": item.name,
        "in": item.where,
        "required": item.where == "path",
        "description": item.description,
        "schema": dict(item.schema),
    }


def _responses(route: Route) -> dict[str, Any]:
    answer = route.answer
    shown = {"schema": _ref(answer) if answer else {"type": "object"}}
    responses: dict[str, Any] = {
        str(status): {"description": "Done.", "content": {"application/json": shown}}
        for status in route.good
    }
    if HTTPStatus.CREATED in route.good:
        for response in responses.values():
            response["headers"] = _LOCATION
    if not route.open_to_all:
        responses["401"] = _NO_KEY
    return responses | {str(status): _problem(status, route.problem) for status in route.problems}


def _problem(status: int, shape: type[BaseModel]) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {"application/problem+json": {"schema": _ref(shape)}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        problem["headers"] = _RETRY_AFTER
    return problem


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
