"""The description of the API: valid, complete, and true."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from function_app import app
from functions.triggers import openapi
from functions.triggers.routes import ROUTES

BASE = "http://localhost:7071/api"
FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}


def document() -> dict[str, Any]:
    as_read: dict[str, Any] = json.loads(json.dumps(openapi.document(BASE)))
    return as_read


def registered() -> Iterator[tuple[str, str, str]]:
    """Method, path and name of every HTTP function of the app."""
    for function in app.get_functions():
        binding = json.loads(str(function))["bindings"][0]
        if binding["type"] == "httpTrigger":
            for method in binding["methods"]:
                yield str(method), str(binding["route"]), str(function.get_function_name())


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_it_names_every_function_with_its_route_and_nothing_else() -> None:
    assert {(route.method, route.path, route.name) for route in ROUTES} == set(registered())


def test_it_says_where_the_api_is() -> None:
    assert document()["servers"] == [{"url": BASE}]


def test_every_route_but_health_needs_a_key() -> None:
    described = document()
    assert described["security"] == [{"key": []}]
    free = [
        path
        for path, operations in described["paths"].items()
        for operation in operations.values()
        if operation.get("security") == []
    ]
    assert free == ["/health"]


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"strategy": {"waves": [{"name": "canary", "size": "1%"}, {"size": 50}]}}, True),
        ({"strategy": {"soak": "PT0S", "successShare": "100%", "window": None}}, True),
        ({"startAt": "2026-12-01T02:00:00Z", "labels": {"build": "1234"}}, True),
        ({"strategy": {"waves": [{"size": "0%"}]}}, False),
        ({"strategy": {"timeout": "1h"}}, False),
        ({"hurry": True}, False),
    ],
)
def test_the_schema_of_a_create_takes_what_validation_takes(
    changes: dict[str, Any], valid: bool
) -> None:
    described = document()
    schema = {
        "$ref": "#/components/schemas/CreateRollout",
        "components": described["components"],
    }
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}, **changes}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is valid
