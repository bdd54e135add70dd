"""Test the health routes: one calls nothing, the other probes for callers with a key."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func
import pytest

from functions import wiring
from functions.errors import FleetRolloutError, HubUnavailableError, SettingsError
from functions.last_calls import LastCalls
from functions.triggers import background, http_health
from functions.triggers.route import declared_routes
from functions.wire.health import HealthProblemSchema, HealthSchema
from tests.functions.triggers.described import validator
from tests.functions.triggers.routing import CONTEXT, http_functions, send

type Handler = Callable[[func.HttpRequest, Any], Awaitable[func.HttpResponse]]
PROBLEM = "application/problem+json"
HEALTHY = HealthSchema.published_name("serialization")
PROBLEM_BODY = HealthProblemSchema.published_name("serialization")


class Service:
    """Stands in for hub, stores and queue; counts the calls."""

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.pings = 0
        self._seconds, self._error = seconds, error
        self._lock = threading.Lock()

    def ping(self) -> None:
        with self._lock:
            self.pings += 1
        time.sleep(self._seconds)
        if self._error:
            raise self._error


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> LastCalls:
    """Start a process that has called nothing; return its records."""
    calls = LastCalls()
    monkeypatch.setattr(wiring, "last_calls", lambda: calls)
    monkeypatch.setattr(http_health, "_last", http_health._LastCheck())  # noqa: SLF001
    return calls


def connect(monkeypatch: pytest.MonkeyPatch, **services: Service) -> None:
    for name, service in services.items():
        monkeypatch.setattr(wiring, name, lambda service=service: service)


def get(path: str, schema: str, method: str = "GET") -> tuple[func.HttpResponse, Any]:
    response = send(method, path, b"", {})
    assert response is not None
    body = json.loads(response.get_body())
    validator(schema).validate(body)
    return response, body


def requests_at_once(path: str, count: int) -> list[func.HttpResponse]:
    handler: Handler = next(
        function for method, route, function in http_functions() if (method, route) == ("GET", path)
    )
    request = func.HttpRequest("GET", f"/api/{path}", body=b"")

    async def send_all() -> list[func.HttpResponse]:
        return list(await asyncio.gather(*(handler(request, CONTEXT) for _ in range(count))))

    return asyncio.run(send_all())


def test_a_process_that_has_called_nothing_is_healthy(seen: LastCalls) -> None:
    assert seen.hub.age_seconds() is None
    response, body = get("/health", HEALTHY)
    assert response.status_code == 200
    assert body["parts"] == {"hub": "unknown", "storage": "unknown"}
    assert body["ages"] == {"hub": None, "storage": None, "tick": None}


def test_health_is_what_the_last_calls_saw(seen: LastCalls) -> None:
    seen.hub.record(responded=True)
    seen.tables.record(responded=True)
    seen.tick.record(responded=True)
    response, body = get("/health", HEALTHY)
    assert (response.status_code, body["status"]) == (200, "healthy")
    assert body["parts"] == {"hub": "ok", "storage": "ok"}
    assert body["ages"] == {"hub": 0, "storage": 0, "tick": 0}


def test_health_names_the_part_that_did_not_respond(seen: LastCalls) -> None:
    seen.hub.record(responded=False)
    seen.tables.record(responded=True)
    response, body = get("/health", PROBLEM_BODY)
    assert (response.status_code, response.mimetype) == (503, PROBLEM)
    assert body["detail"] == "No response from: hub."
    assert body["parts"] == {"hub": "failing", "storage": "ok"}
    assert "Retry-After" in response.headers


def test_a_failed_tick_is_seen(seen: LastCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise HubUnavailableError("so")

    monkeypatch.setattr(wiring, "services", fail)
    with pytest.raises(HubUnavailableError):
        background.advance_rollouts.build().get_user_function()(None)
    assert seen.tick.age_seconds() == 0


@pytest.mark.usefixtures("seen")
def test_no_request_without_a_key_calls_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every route that needs no key, with every method that it has."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("a request without a key opened a connection")

    for name in ("hub", "stores", "queue", "services"):
        monkeypatch.setattr(wiring, name, refuse)
    public = {route.path for route in declared_routes() if route.is_public}
    called = [(method, path) for method, path, _ in http_functions() if path in public]
    assert set(called) == {(method, "health") for method in ("GET", "HEAD", "OPTIONS")}
    for method, path in called:
        response = send(method, f"/{path}", b"", {})
        assert response is not None
        assert response.status_code in {200, 204}


@pytest.mark.usefixtures("seen")
def test_readiness_calls_hub_tables_and_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, stores, queue = Service(), Service(), Service()
    connect(monkeypatch, hub=hub, stores=stores, queue=queue)
    response, body = get("/health/ready", HEALTHY)
    assert (response.status_code, body["parts"]) == (200, {"hub": "ok", "storage": "ok"})
    assert (hub.pings, stores.pings, queue.pings) == (1, 1, 1)


@pytest.mark.usefixtures("seen")
def test_concurrent_readiness_requests_share_one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Service(seconds=0.1)
    connect(monkeypatch, hub=slow, stores=slow, queue=slow)
    responses = requests_at_once("health/ready", 50)
    responses += requests_at_once("health/ready", 10)
    assert {item.status_code for item in responses} == {200}
    assert slow.pings == 3


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (HubUnavailableError("The IoT Hub responded with 401."), "The IoT Hub responded with 401."),
        (SettingsError("set IOTHUB_HOSTNAME"), "set IOTHUB_HOSTNAME"),
        (KeyError("c2VjcmV0"), "It cannot be called; the app's log has the error."),
    ],
)
def test_readiness_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    connect(monkeypatch, hub=Service(error=error), stores=Service(), queue=Service())
    response, body = get("/health/ready", PROBLEM_BODY)
    assert response.status_code == 503
    assert body["parts"] == {"hub": "failing", "storage": "ok"}
    assert body["detail"] == f"hub: {why}"


@pytest.mark.usefixtures("seen")
def test_readiness_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, hub=Service(error=FleetRolloutError("so")))
    connect(monkeypatch, stores=Service(), queue=Service())
    monkeypatch.setattr(http_health, "MIN_CHECK_INTERVAL_SECONDS", 0.0)
    get("/health/ready", PROBLEM_BODY)
    connect(monkeypatch, hub=Service())
    get("/health/ready", HEALTHY)
