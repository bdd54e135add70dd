"""Check that the description of the API is valid, complete and true."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from function_app import app
from functions.errors import RequestError
from functions.triggers.route import declared_routes
from functions.wire import command_request, create_request
from functions.wire.command_request import CommandSchema, RetryCommandSchema
from functions.wire.create_request import CreateRolloutSchema
from functions.wire.texts import timezones
from tests.functions.triggers.described import BASE, document, validator

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}


def accepted(body: Any) -> bool:
    try:
        create_request.parse(json.dumps(body).encode())
    except RequestError:
        return False
    return True


def registered() -> Iterator[tuple[str, str, str]]:
    """Return method, path and name of every HTTP function of the app, without the page's files."""
    for function in app.get_functions():
        binding = json.loads(str(function))["bindings"][0]
        if binding["type"] == "httpTrigger" and not binding["route"].startswith("ui"):
            for method in set(binding["methods"]) - {"HEAD", "OPTIONS"}:
                yield str(method), str(binding["route"]), str(function.get_function_name())


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_it_describes_exactly_the_functions_of_the_app() -> None:
    assert {(route.method, route.path, route.name) for route in declared_routes()} == set(
        registered()
    )


def test_it_states_the_address_of_the_api() -> None:
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
        ({"strategy": {"timeout": "PT0S"}}, False),
        ({"strategy": {"failureGate": {"unacceptable": "100%"}}}, False),
        ({"labels": {"a\nb": "c"}}, False),
        ({"target": {}}, False),
        ({"target": {"condition": "x = 1"}}, True),
        ({"target": {"condition": "x = 1", "deviceIds": None}}, True),
        ({"target": {"condition": "x = 1", "deviceIds": ["a"]}}, False),
        ({"target": {"deviceIds": ["a", "a"]}}, False),
        ({"target": {"deviceIds": [".."]}}, False),
        ({"hurry": True}, False),
    ],
)
def test_the_schema_of_a_create_accepts_what_validation_accepts(
    changes: dict[str, Any], valid: bool
) -> None:
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}, **changes}
    assert validator("CreateRollout").is_valid(body) is valid
    assert accepted(body) is valid


@pytest.mark.parametrize("name", CreateRolloutSchema.body_examples)
def test_the_examples_of_a_create_are_accepted(name: str) -> None:
    validator("CreateRollout").validate(CreateRolloutSchema.body_examples[name])
    create_request.parse(json.dumps(CreateRolloutSchema.body_examples[name]).encode())


@pytest.mark.parametrize("name", CommandSchema.body_examples)
def test_the_examples_of_a_command_are_accepted(name: str) -> None:
    validator("SteeringRequest").validate(CommandSchema.body_examples[name])
    command_request.parse(json.dumps(CommandSchema.body_examples[name]).encode())


@pytest.mark.parametrize("name", RetryCommandSchema.body_examples)
def test_the_examples_of_a_retry_are_accepted(name: str) -> None:
    validator("RetrySteeringRequest").validate(RetryCommandSchema.body_examples[name])
    command_request.parse_retry(json.dumps(RetryCommandSchema.body_examples[name]).encode())


def test_defaults_have_the_form_of_a_request() -> None:
    schema = document()["components"]["schemas"]["CreateRollout"]
    strategy = schema["properties"]["strategy"]["default"]
    validator("StrategyRequest").validate(strategy)
    assert strategy["failureGate"]["unacceptable"] == "10%"
    assert strategy["timeout"] == "PT1H"


def test_every_route_that_needs_a_key_documents_401() -> None:
    for path, operations in document()["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) is (path != "/health")


def test_a_field_that_is_left_out_is_never_null() -> None:
    page = validator("RolloutsAnswer")
    assert page.is_valid({"value": []})
    assert not page.is_valid({"value": [], "nextLink": None})


@pytest.mark.parametrize(
    ("target", "valid"),
    [
        ({"deviceIds": ["a"]}, True),
        ({"condition": "tags.a = 1"}, True),
        ({"condition": "tags.a = 1", "joiners": True}, True),
        ({"deviceIds": ["a"], "joiners": True}, False),
        ({"deviceCount": 5_000}, True),
        ({}, False),
        ({"deviceIds": ["a"], "deviceCount": 1}, False),
        ({"deviceIds": None}, False),
    ],
)
def test_a_target_has_exactly_one_form(target: dict[str, Any], valid: bool) -> None:
    assert validator("TargetAnswer").is_valid(target) is valid


@pytest.mark.parametrize(
    ("uri", "valid"),
    [
        ("https://packages.example:65535/fw.bin?a=b#c", True),
        ("HTTP://user:word@packages.example", True),
        ("http://[::1]:8080/fw.bin", True),
        ("http://packages.example:65536/", False),
        ("http://packages.example:0/", False),
        ("http://packages.example:x/", False),
        ("http://:80/", False),
        ("http://user@/", False),
        ("http://[::1/", False),
    ],
)
def test_a_package_uri_has_a_host_and_a_valid_port(uri: str, valid: bool) -> None:
    """Check that the schema accepts all that validation accepts; a pattern cannot say more."""
    body = {"firmware": FIRMWARE | {"packageUri": uri}, "target": {"deviceIds": ["a"]}}
    assert accepted(body) is valid
    assert validator("CreateRollout").is_valid(body) or not valid


def test_the_schema_accepts_every_time_zone_that_validation_accepts() -> None:
    schema = document()["components"]["schemas"]["WindowRequest"]["properties"]["timezone"]
    zones = jsonschema.Draft202012Validator(schema)
    assert [name for name in timezones() if not zones.is_valid(name)] == []
