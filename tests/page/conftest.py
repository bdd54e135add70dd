"""Fixtures: a browser, and the page in front of a world in memory."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from functions import wiring
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client, Response
from tests.functions.use_cases.world import World, device
from tests.page.modules import NODE, Modules
from tests.page.server import KEY, PageServer

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)


class App:
    """The API, called in another thread, because Playwright runs an event loop in this one."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        return self._run("get", path).body

    def post(self, path: str, body: Any = None) -> Response:
        return self._run("post", path, body)

    def put(self, path: str, body: Any) -> Response:
        return self._run("put", path, body)

    def _run(self, name: str, *arguments: Any) -> Response:
        with ThreadPoolExecutor(1) as thread:
            found: Response = thread.submit(getattr(self._client, name), *arguments).result()
            return found


@pytest.fixture(scope="package")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modules]:
    """Return what calls functions of the page's modules."""
    if NODE is None:
        pytest.skip("NODE IS MISSING: what the page derives from data is not tested. make test")
    with Modules.loaded(tmp_path_factory.mktemp("modules")) as modules:
        yield modules


@pytest.fixture(scope="package")  # its event loop would disturb tests of other packages
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("CHROMIUM IS MISSING: the page is not tested. apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def world() -> World:
    fleet = [device(f"d-{number:03}", stratum="ab"[number % 2]) for number in range(130)]
    fleet[3] = device("d-003", stratum="b", fault=Fault.FAILING)
    return World(fleet, still=True)


@pytest.fixture
def app(world: World, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setattr(wiring, "services", lambda: world.services)
    return App(Client(world, monkeypatch))


@pytest.fixture
def server(app: App) -> Iterator[PageServer]:  # noqa: ARG001 - it patches the app
    with PageServer().running() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: PageServer) -> Iterator[Page]:  # noqa: ARG001 - started first
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def strategy() -> dict[str, Any]:
    return {"stratifyBy": ["tags.site"], "maxInFlight": 40}


@pytest.fixture
def rollout_id(world: World, app: App, strategy: dict[str, Any]) -> str:
    body = {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": strategy,
    }
    return str(app.post("/rollouts", body).body["id"])


def sign_in(page: Page, url: str, key: str = KEY) -> None:
    page.goto(url)
    page.get_by_label("Function key").fill(key)
    page.keyboard.press("Enter")
