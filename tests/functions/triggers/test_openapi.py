"""The description of the API: valid, complete, and true."""

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
    """Method, path and name of every HTTP function of the app."""
    for function in app.get_functions():
        binding = json.loads(str(function))["bindings"][0]
        if binding["type"] == "httpTrigger":
            for method in binding["methods"]:
                yield str(method), str(binding["route"]), str(function.get_function_name())


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_it_names_every_function_with_its_route_and_nothing_else() -> None:
    assert {(route.method, route.path, route.name) for route in declared_routes()} == set(
        registered()
    )


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
def test_the_schema_of_a_create_takes_what_validation_takes(
    changes: dict[str, Any], valid: bool
) -> None:
    body = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}, **changes}
    assert validator("CreateRollout").is_valid(body) is valid
    assert accepted(body) is valid


@pytest.mark.parametrize("name", CreateRolloutSchema.body_examples)
def test_the_examples_of_a_create_are_taken_as_they_stand(name: str) -> None:
    validator("CreateRollout").validate(CreateRolloutSchema.body_examples[name])
    create_request.parse(json.dumps(CreateRolloutSchema.body_examples[name]).encode())


@pytest.mark.parametrize("name", CommandSchema.body_examples)
def test_the_examples_of_a_command_are_taken_as_they_stand(name: str) -> None:
    validator("SteeringRequest").validate(CommandSchema.body_examples[name])
    command_request.parse(json.dumps(CommandSchema.body_examples[name]).encode())


@pytest.mark.parametrize("name", RetryCommandSchema.body_examples)
def test_the_examples_of_a_retry_are_taken_as_they_stand(name: str) -> None:
    validator("RetrySteeringRequest").validate(RetryCommandSchema.body_examples[name])
    command_request.parse_retry(json.dumps(RetryCommandSchema.body_examples[name]).encode())


def test_the_defaults_are_written_as_a_caller_would() -> None:
    schema = document()["components"]["schemas"]["CreateRollout"]
    strategy = schema["properties"]["strategy"]["default"]
    validator("StrategyRequest").validate(strategy)
    assert strategy["failureGate"]["unacceptable"] == "10%"
    assert strategy["timeout"] == "PT1H"


def test_whoever_is_without_a_key_is_told_so_by_every_route_that_needs_one() -> None:
    for path, operations in document()["paths"].items():
        for operation in operations.values():
            assert ("401" in operation["responses"]) is (path != "/health")


def test_what_is_absent_from_an_answer_is_never_null() -> None:
    page = validator("RolloutsAnswer")
    assert page.is_valid({"value": []})
    assert not page.is_valid({"value": [], "nextLink": None})


@pytest.mark.parametrize(
    ("target", "valid"),
    [
        ({"deviceIds": ["a"]}, True),
        ({"condition": "tags.a = 1"}, True),
        ({"deviceCount": 5_000}, True),
        ({}, False),
        ({"deviceIds": ["a"], "deviceCount": 1}, False),
        ({"deviceIds": None}, False),
    ],
)
def test_a_target_is_answered_in_one_way(target: dict[str, Any], valid: bool) -> None:
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
def test_a_package_uri_has_a_host_and_a_port_that_there_is(uri: str, valid: bool) -> None:
    """Which a pattern cannot say in full: the schema takes all that validation takes, and more."""
    body = {"firmware": FIRMWARE | {"packageUri": uri}, "target": {"deviceIds": ["a"]}}
    assert accepted(body) is valid
    assert validator("CreateRollout").is_valid(body) or not valid


def test_every_time_zone_that_is_taken_is_one_that_the_schema_takes() -> None:
    schema = document()["components"]["schemas"]["WindowRequest"]["properties"]["timezone"]
    zones = jsonschema.Draft202012Validator(schema)
    assert [name for name in timezones() if not zones.is_valid(name)] == []
