"""Run `fleet` in this process, in front of the API's functions on a world in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from fleet import follow, service
from fleet.app import app
from functions import wiring
from functions.triggers import http_rollouts
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World, devices

KEY = "function-key-never-to-be-printed"
API = "https://fleet.example/api"
VERSION = ("--version", "2.4.0", "--package-uri", "https://packages.example/fw.bin")


@dataclass
class Cloud:
    """The API, and what a test makes of its requests."""

    world: World
    between: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    requests: list[httpx.Request] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Respond as the Functions host does; `between` may respond, or raise, before."""
        self.requests.append(request)
        made = self.between(request)
        if made is not None:
            return made
        if request.headers.get("x-functions-key") != KEY:
            return httpx.Response(401)
        path = str(request.url).removeprefix(API)
        response = send(request.method, path, request.content, dict(request.headers))
        if response is None:
            return httpx.Response(404)
        headers = {"Content-Type": response.mimetype, **response.headers}
        return httpx.Response(response.status_code, headers=headers, content=response.get_body())

    def run(self, *arguments: str, **environment: str) -> Result:
        """Run a command; what it prints is in `stdout` and `stderr`."""
        variables = {"FLEET_API": API, "FLEET_KEY": KEY, **environment}
        result = CliRunner().invoke(app, list(arguments), env=variables)
        assert KEY not in result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def create(self, *more: str) -> str:
        """Create a rollout of all devices; return its id."""
        named = [part for name in self.world.hub.devices for part in ("--device", name)]
        created = self.run("create", *VERSION, *named, *more)
        assert created.exit_code == 0, created.output
        return created.stdout.split()[1].rstrip(":")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    return make_cloud(World(devices(6)), monkeypatch, tmp_path)


def make_cloud(world: World, patch: pytest.MonkeyPatch, configuration: Path) -> Cloud:
    """Return the API on a world; `fleet` reaches it, and keeps its profiles in a folder."""
    made = Cloud(world)
    patch.setattr(wiring, "services", lambda: made.world.services)
    patch.setattr(wiring, "stores", lambda: made.world.stores)
    patch.setattr(service, "make_transport", lambda: httpx.MockTransport(made.handle))
    patch.setattr(service, "FIRST_PAUSE_SECONDS", 0.001)
    patch.setattr(follow, "MIN_POLL_SECONDS", 0.01)
    patch.setattr(follow, "MAX_WAIT_SECONDS", 0)  # only a test makes time pass
    patch.setattr(http_rollouts, "POLL_SECONDS", 0.01)
    patch.setenv("XDG_CONFIG_HOME", str(configuration))
    for name in ("CI", "FLEET_PROFILE", "FLEET_SCOPE", "FLEET_BY"):
        patch.delenv(name, raising=False)
    return made


def advancing(cloud: Cloud) -> Callable[[httpx.Request], None]:
    """Return a hook that lets ten seconds pass before each waiting request."""

    def advance(request: httpx.Request) -> None:
        if "waitSeconds" in str(request.url):
            cloud.world.tick()

    return advance


def lines(result: Result) -> list[Any]:
    return result.stdout.splitlines()
