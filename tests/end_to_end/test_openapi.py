"""Requests that the OpenAPI document allows, and some that it forbids."""

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import function_app  # noqa: F401 - declares the routes
from functions.triggers.route import Route, declared_routes
from functions.wire.texts import MANIFEST_FORMAT, TIMEZONE_FORMAT
from simulator.cloud.local_cloud import LocalCloud
from simulator.cloud.registration import Registration
from tests.end_to_end.client import Api
from tests.functions.manifests import signed

# Every response must be as described, and must not blame the server.
CHECKS: Sequence[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "10"))
DEVICE = "described"
WEBHOOK = "described"
VERSION = "2.4.0"  # of every rollout of `Api.create`
# The local host checks no keys, so it does not refuse a missing one.
CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False))
    )
)


@pytest.fixture(scope="module")
def described(shared_cloud: LocalCloud) -> Any:
    schemathesis.openapi.format(TIMEZONE_FORMAT, st.sampled_from(["Europe/Berlin", "UTC"]))
    schemathesis.openapi.format(MANIFEST_FORMAT, st.just(signed()))
    url = f"{shared_cloud.options.api_url}/openapi.json"
    return schemathesis.openapi.from_url(url, config=CONFIG)


@pytest.fixture(scope="module")
def rollout_id(shared_cloud: LocalCloud) -> Iterator[str]:
    """Create a rollout of an offline device, and a webhook.

    At the end, cancel every rollout of that device and delete all webhooks.
    """
    Registration(shared_cloud.options).register(DEVICE)
    api = Api(shared_cloud.options)
    api.call("PUT", f"/webhooks/{WEBHOOK}", {"url": "https://localhost:9/"})
    yield api.create(DEVICE)["id"]
    for webhook in api.get("/webhooks")["value"]:
        api.call("DELETE", f"/webhooks/{webhook['name']}")
    path = f"/devices/{DEVICE}/rollouts?limit=100"
    while path:
        page = api.get(path)
        for entry in page["value"]:
            api.call("POST", f"/rollouts/{entry['rolloutId']}/cancel")
        path = page.get("nextLink", "").partition("/api")[2]


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        pytest.param(route, mode, id=f"{route.name}-{mode.value}")
        for route in declared_routes()
        for mode in GenerationMode
        # A path may hold any text, so a path alone cannot be wrong.
        if mode is GenerationMode.POSITIVE
        or route.body
        or any(item.where != "path" for item in route.parameters)
    ],
)
def test_every_response_matches_the_openapi_document(
    described: Any, rollout_id: str, route: Route, mode: GenerationMode
) -> None:
    operation = described[f"/{route.path}"][route.method]
    known = {"id": rollout_id, "deviceId": quote(DEVICE), "name": WEBHOOK, "version": VERSION}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def send(case: Any, there: bool) -> None:
        if there:
            case.path_parameters.update({name: known[name] for name in case.path_parameters})
        if there and mode is GenerationMode.POSITIVE:
            _aim(case)
        # Do not wait for a rollout that never ends.
        if case.query and "waitSeconds" in case.query:
            case.query["waitSeconds"] = 0
        response = case.call()
        excluded = [negative_data_rejection] if _is_partly_blank(response.request) else []
        case.validate_response(response, checks=CHECKS, excluded_checks=excluded)

    send()


def _is_partly_blank(request: Any) -> bool:
    """Return whether a part of the request is blank, which the server treats as not sent."""
    parameters = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    blank_body = request.method == "POST" and not (request.body or b"").strip()
    return blank_body or not all(value for _, value in parameters)


def _aim(case: Any) -> None:
    """Change the body of a create so that it can succeed: for a device that exists."""
    if isinstance(case.body, dict) and "target" in case.body:
        case.body["target"] = {"deviceIds": [DEVICE]}
        case.body.pop("planHash", None)
        case.body.get("strategy", {}).pop("waves", None)


def test_the_openapi_document_has_the_address_of_its_request(api: Api) -> None:
    found = api.get("/openapi.json")
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": api.options.api_url}]
