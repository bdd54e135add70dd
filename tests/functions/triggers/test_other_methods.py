"""Test HEAD and OPTIONS of every route."""

import pytest
from azure.functions import HttpResponse

from functions.triggers.route import declared_routes
from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import http_functions, send
from tests.functions.use_cases.world import World, devices

BODY = {
    "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"},
    "target": {"deviceIds": ["d-000"]},
}


@pytest.fixture
def rollout_id(monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a rollout; return its id."""
    world = World(devices(1))
    return str(Client(world, monkeypatch).post("/rollouts", BODY).body["id"])


def respond(method: str, path: str) -> HttpResponse:
    response = send(method, path, b"", {})
    assert response is not None, f"{method} {path} has no function"
    return response


def test_every_get_has_a_head() -> None:
    registered = {(method, path) for method, path, _ in http_functions()}
    gets = {path for method, path in registered if method == "GET"}
    assert {path for method, path in registered if method == "HEAD"} == gets
    assert "rollouts" in gets


def test_every_path_responds_to_options_once() -> None:
    """Check that no two functions have a method in common: the host would refuse the second."""
    registered = [(method, path) for method, path, _ in http_functions()]
    assert len(set(registered)) == len(registered)
    options = [path for method, path in registered if method == "OPTIONS"]
    assert set(options) == {path for _, path in registered}


def test_options_lists_the_methods_of_the_path_and_does_nothing() -> None:
    for route in declared_routes():
        response = respond("OPTIONS", f"/{route.path.replace('{', '').replace('}', '')}")
        assert (response.status_code, response.get_body()) == (204, b"")
        allowed = response.headers["Allow"].split(", ")
        assert route.method in allowed
        assert ("HEAD" in allowed) is ("GET" in allowed)
    assert respond("OPTIONS", "/rollouts").headers["Allow"] == "POST, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path", ["/rollouts", "/rollouts/{}", "/rollouts/{}/devices", "/rollouts/{}/events", "/nothing"]
)
def test_head_is_get_without_the_body(rollout_id: str, path: str) -> None:
    path = path.format(rollout_id).replace("/nothing", "/rollouts/98204585790876-33f54ea28ab6")
    get, head = respond("GET", path), respond("HEAD", path)
    assert (head.status_code, head.mimetype) == (get.status_code, get.mimetype)
    assert dict(head.headers) == dict(get.headers)
    assert get.get_body()
    assert head.get_body() == b""
