"""What a function may declare, and what is refused: by Azure, or by the local host alone."""

import json
from typing import Any

import pytest

from simulator.host.bindings import (
    AppFunction,
    HttpTrigger,
    QueueTrigger,
    TimerTrigger,
    parse_functions,
)
from simulator.host.errors import AppLoadError

type Binding = dict[str, Any]


def http(**values: Any) -> Binding:
    return {
        "type": "httpTrigger",
        "direction": "IN",
        "name": "req",
        "authLevel": "FUNCTION",
    } | values


def timer(**values: Any) -> Binding:
    return {"type": "timerTrigger", "direction": "IN", "name": "timer"} | values


def queue(**values: Any) -> Binding:
    return {"type": "queueTrigger", "direction": "IN", "name": "msg", "queueName": "abc"} | values


def output(**values: Any) -> Binding:
    return {"type": "queue", "direction": "OUT", "name": "out", "queueName": "abc"} | values


RETURN: Binding = {"type": "http", "direction": "OUT", "name": "$return"}


def parse(
    functions: dict[str, list[Binding]], settings: dict[str, str] | None = None, prefix: str = "api"
) -> tuple[AppFunction, ...]:
    return parse_functions(
        [(name, f"id-{name}", [json.dumps(b) for b in raw]) for name, raw in functions.items()],
        settings=settings or {},
        route_prefix=prefix,
    )


def test_an_http_function_without_a_route_has_its_name_as_route() -> None:
    (function,) = parse({"Hello": [http(), RETURN]})
    assert isinstance(function.trigger, HttpTrigger)
    assert function.trigger.template.match("/api/hello") == {}
    assert function.trigger.methods is None
    assert function.trigger.auth_level == "function"


@pytest.mark.parametrize(("prefix", "path"), [("", "/x"), ("v1/api", "/v1/api/x"), ("/a/", "/a/x")])
def test_the_route_prefix_comes_first(prefix: str, path: str) -> None:
    (function,) = parse({"f": [http(route="/x"), RETURN]}, prefix=prefix)
    assert isinstance(function.trigger, HttpTrigger)
    assert function.trigger.template.match(path) == {}


def test_timer_and_queue_triggers_are_parsed() -> None:
    first, second = parse(
        {
            "f": [timer(schedule="*/5 * * * * *")],
            "g": [queue(queueName="My-Work", connection="C", dataType="STRING")],
        },
    )
    assert isinstance(first.trigger, TimerTrigger)
    assert first.trigger.text == "*/5 * * * * *"
    assert first.trigger.schedule.seconds[:2] == (0, 5)
    assert second.trigger == QueueTrigger(parameter="msg", queue="my-work", connection="C")


@pytest.mark.parametrize(("value", "disabled"), [("true", True), ("1", True), ("0", False)])
def test_a_setting_disables_a_function(value: str, disabled: bool) -> None:
    (function,) = parse({"f": [http(), RETURN]}, {"AzureWebJobs.f.Disabled": value})
    assert function.disabled is disabled


def test_two_functions_may_share_a_route_with_other_verbs() -> None:
    functions = {
        "f": [http(route="x", methods=["GET"]), RETURN],
        "g": [http(route="X/", methods=["post"]), RETURN],
    }
    assert len(parse(functions)) == 2


@pytest.mark.parametrize("name", ["a", "A-1_b", "a" * 128])
def test_a_function_name_that_azure_accepts(name: str) -> None:
    assert parse({name: [http(), RETURN]})[0].name == name


@pytest.mark.parametrize("name", ["", "1a", "_a", "a.b", "ä", "a" * 129, "host", "Host"])
def test_a_function_name_that_azure_refuses(name: str) -> None:
    with pytest.raises(AppLoadError, match="not a valid function name"):
        parse({name: [http(), RETURN]})


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"f": [http(), RETURN], "F": [http(route="x"), RETURN]}, "used twice"),
        ({"f": [http(route="x"), RETURN], "g": [http(route="/X"), RETURN]}, "with that of f"),
        (
            {
                "f": [http(route="x", methods=["GET", "PUT"]), RETURN],
                "g": [http(route="x", methods=["PUT"]), RETURN],
            },
            "with that of f",
        ),
        ({"f": [http(route="admin"), RETURN]}, "conflicts with the host's own routes"),
        ({"f": [http(route="/Admin/x"), RETURN]}, "conflicts with the host's own routes"),
        ({"f": [http(route="runtime/x"), RETURN]}, "conflicts with the host's own routes"),
        ({"f": [http(route="x/{a"), RETURN]}, "not supported"),
        ({"f": [http(authLevel="ADMIN"), RETURN]}, "level admin is not supported"),
        ({"f": [http(name="a__b"), RETURN]}, "'a__b' is not a valid binding name"),
        ({"f": [http(name="9"), RETURN]}, "'9' is not a valid binding name"),
        ({"f": [http(name="Out"), http(name="out"), RETURN]}, "the same name"),
        ({"f": [http(), timer(schedule="* * * * * *")]}, "2 are declared"),
        ({"f": [RETURN]}, "0 are declared"),
        ({"f": [timer(schedule="61 * * * * *")]}, "must be 0 to 59, not '61'"),
        ({"f": [queue(queueName="a")]}, "not a valid queue name"),
        ({"f": [queue(queueName="a--b")]}, "not a valid queue name"),
        ({"f": [queue(queueName="a_b")]}, "not a valid queue name"),
        ({"f": [queue(queueName="a" * 64)]}, "not a valid queue name"),
        ({"f": [queue(queueName="%QUEUE%")]}, "not a valid queue name"),
        ({"f": [timer(schedule="%WHEN%")]}, "six fields"),
        ({"f": [timer(schedule="* * * * * *", runOnStartup=True)]}, "runOnStartup is not"),
        ({"f": [queue(dataType="BINARY")]}, "binary is not supported"),
        ({"f": [http(), output(), RETURN]}, "the binding queue is not supported"),
        (
            {"f": [http(), {"type": "blob", "direction": "IN", "name": "b"}]},
            "blob is not supported",
        ),
        ({"f": [http(), {"type": "http", "direction": "OUT", "name": "res"}]}, "not supported"),
    ],
)
def test_a_declaration_that_cannot_run_is_refused_with_the_function_and_reason(
    functions: dict[str, list[Binding]], message: str
) -> None:
    with pytest.raises(AppLoadError, match=message):
        parse(functions)
