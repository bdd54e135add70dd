"""Test the links in responses, with and without `ROLLOUT_PUBLIC_URL`."""

import json
from typing import Any

import pytest
from azure.functions import HttpRequest

from functions.triggers.address import base_url, url_without_query
from functions.wire.problem import ProblemSchema
from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import http_functions, send
from tests.functions.use_cases.world import World, devices

PUBLIC = "https://apis.example/fleet/v1"
BODY = {
    "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"},
    "target": {"deviceIds": ["d-000"]},
    "strategy": {"whenAlreadyRunning": "reinstall"},
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(devices(1))
    Client(made, monkeypatch)
    return made


def call(method: str, path: str, body: Any = None, **headers: str) -> tuple[Any, Any]:
    sent = b"" if body is None else json.dumps(body).encode()
    response = send(method, path, sent, headers)
    assert response is not None
    return response, json.loads(response.get_body())


@pytest.mark.parametrize("setting", [PUBLIC, f"{PUBLIC}/", f" {PUBLIC}// "])
def test_all_links_begin_with_the_public_url(
    world: World, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("ROLLOUT_PUBLIC_URL", setting)
    response, created = call("POST", "/rollouts", BODY)
    assert response.headers["Location"] == f"{PUBLIC}/rollouts/{created['id']}"
    world.until_over(created["id"])
    call("POST", "/rollouts", BODY)
    for path in ("/rollouts", f"/rollouts/{created['id']}/events", "/devices/d%2D000/rollouts"):
        _, page = call("GET", f"{path}?limit=1")
        assert page["nextLink"].startswith(f"{PUBLIC}{path}?limit=1&cursor=")
    _, document = call("GET", "/openapi.json")
    assert document["servers"] == [{"url": PUBLIC}]


def test_the_location_of_a_rollback_begins_with_the_public_url(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_PUBLIC_URL", PUBLIC)
    _, first = call("POST", "/rollouts", BODY)
    world.until_over(first["id"])
    newer = {**BODY, "firmware": {**BODY["firmware"], "version": "2.5.0"}}  # type: ignore[dict-item]
    _, second = call("POST", "/rollouts", newer)
    world.until_over(second["id"])
    response, back = call("POST", f"/rollouts/{second['id']}/rollback")
    assert response.headers["Location"] == f"{PUBLIC}/rollouts/{back['id']}"


@pytest.mark.parametrize(
    ("url", "base", "whole"),
    [
        ("http://h/api/rollouts?code=k", "http://h/api", "http://h/api/rollouts"),
        ("http://h:7071/API/rollouts/", "http://h:7071/API", "http://h:7071/API/rollouts/"),
        ("http://h/api/devices/api/rollouts", "http://h/api", "http://h/api/devices/api/rollouts"),
        ("http://h/api/devices/a%23b/x#f", "http://h/api", "http://h/api/devices/a%23b/x"),
    ],
)
def test_without_the_setting_links_begin_with_the_requests_url(
    monkeypatch: pytest.MonkeyPatch, url: str, base: str, whole: str
) -> None:
    monkeypatch.delenv("ROLLOUT_PUBLIC_URL", raising=False)
    request = HttpRequest("GET", url, body=b"")
    assert (base_url(request), url_without_query(request)) == (base, whole)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1", "[::1]"])
def test_no_host_header_is_trusted_with_the_setting(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("ROLLOUT_PUBLIC_URL", PUBLIC)
    headers = {"host": host, "x-forwarded-host": host, "forwarded": f"host={host}"}
    request = HttpRequest("GET", f"http://{host}/api/rollouts", headers=headers, body=b"")
    assert url_without_query(request) == f"{PUBLIC}/rollouts"


def test_an_invalid_setting_is_a_problem_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_PUBLIC_URL", "apis.example/fleet")
    response, body = call("GET", "/openapi.json")
    assert response.status_code == 503
    assert ProblemSchema(**body).detail.startswith("ROLLOUT_PUBLIC_URL must be an http or https")
    assert ("GET", "openapi.json") in {item[:2] for item in http_functions()}
