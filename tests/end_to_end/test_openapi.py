"""Everything that the API's own description allows, and some that it does not, asked of the API."""

from collections.abc import Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.triggers.routes import ROUTES, Route
from tests.end_to_end.client import Api

# What every answer must be: nobody's fault but the caller's, and as it is described.
CHECKS: Sequence[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 20


@pytest.fixture(scope="session")
def described(shared_cloud: Any) -> Any:
    return schemathesis.openapi.from_url(f"{shared_cloud.options.api_url}/openapi.json")


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        pytest.param(route, mode, id=f"{route.name}-{mode.value}")
        for route in ROUTES
        for mode in GenerationMode
        if route.body or route.parameters or mode is GenerationMode.POSITIVE  # something to vary
    ],
)
def test_every_answer_is_as_the_api_describes_itself(
    described: Any, route: Route, mode: GenerationMode
) -> None:
    operation = described[f"/{route.path}"][route.method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        # Nobody waits here for a rollout that does not end.
        if case.query and "waitSeconds" in case.query:
            case.query["waitSeconds"] = 0
        case.call_and_validate(checks=CHECKS)

    ask()


def test_the_description_is_served_with_the_address_it_was_asked_at(api: Api) -> None:
    found = api.get("/openapi.json")
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": api.options.api_url}]
