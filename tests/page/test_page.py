"""The page in a browser: keys, overview, live update, gate values, a look back, lost connection."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from functions.wire.fields import time_text
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device
from tests.page.conftest import App, sign_in
from tests.page.server import KEY, PageServer


def gate_values(rollout: Any) -> list[str]:
    return [json.dumps(item[name]) for item in rollout["gate"] for name in ("ratio", "threshold")]


def test_a_wrong_key_is_refused_and_never_enters_the_url(page: Page, server: PageServer) -> None:
    page.goto(server.url)
    page.get_by_label("Function key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="That key is wrong.")).to_be_visible()
    page.get_by_label("Function key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Rollouts", exact=True)).to_be_visible()
    assert "key" not in page.url


def test_the_overview_leads_to_a_rollout(page: Page, server: PageServer, rollout_id: str) -> None:
    sign_in(page, server.url)
    page.get_by_role("link", name=rollout_id[-6:]).first.click()
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    assert page.url.endswith(f"?rollout={rollout_id}")


def test_the_page_follows_the_rollout(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_text("0 completed, 0 failed")).to_be_visible()
    world.until_over(rollout_id)
    expect(page.get_by_text("129 completed, 1 failed")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("cell", name="reported")).to_be_visible()


def test_gate_values_are_those_of_the_api(
    page: Page, server: PageServer, rollout_id: str, world: World, app: App
) -> None:
    while not any(item["failed"] for item in app.get(f"/rollouts/{rollout_id}")["gate"]):
        world.ticks(1)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("group", name="Gate values")).to_be_visible()
    assert page.locator("data").all_text_contents() == gate_values(
        app.get(f"/rollouts/{rollout_id}")
    )


def test_a_look_back_shows_the_rollout_as_it_was(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    at = time_text(world.now)
    world.until_over(rollout_id)
    sign_in(page, f"{server.url}?rollout={rollout_id}&at={at}")
    expect(page.get_by_text("As it was at")).to_be_visible()
    expect(page.get_by_text("0 completed, 0 failed")).to_be_visible()


def test_a_lost_connection_shows_within_ten_seconds(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.clock.install()
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    server.loses_responses = True
    page.clock.run_for(10_000)
    expect(page.get_by_text("Stale: what you see")).to_be_visible()
    server.loses_responses = False
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text("Stale: what you see")).to_be_hidden()


def test_a_narrow_screen_needs_no_sideways_scrolling(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("region", name="Events").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_loads_nothing_from_elsewhere(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/api/")[0]))
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    assert hosts <= {server.url.split("/api/")[0], "data:,"}


def test_old_observations_show_though_the_connection_is_well(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.ticks(1)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_text("devices observed 10 s ago")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    world.pass_time(seconds=11)  # the tick that was due in this time did not come
    banner = page.get_by_role("alert").filter(has_text="the timer does not run")
    expect(banner).to_be_visible(timeout=10_000)
    world.ticks(1)
    world.pass_time(seconds=1)
    expect(banner).to_be_hidden(timeout=10_000)


def test_a_slow_schedule_is_not_stale(
    page: Page,
    server: PageServer,
    rollout_id: str,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROLLOUT_ADVANCE_SCHEDULE", "0 * * * * *")
    world.ticks(1)
    world.pass_time(seconds=40)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_text("devices observed 50 s ago")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_list_that_is_read_rarely_is_not_stale_but_notices_a_lost_connection(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.clock.install()
    sign_in(page, server.url)
    expect(page.get_by_role("link", name=rollout_id[-6:])).to_be_visible()
    for _ in range(3):
        page.clock.run_for(4_000)
        page.wait_for_timeout(300)
    expect(page.get_by_text(re.compile(r"read 1\d s ago"))).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    server.loses_responses = True
    for _ in range(3):
        page.clock.run_for(4_000)
        page.wait_for_timeout(300)
    expect(page.get_by_text("Stale: what you see")).to_be_visible()


def test_a_table_stays_where_it_was_scrolled_to(
    page: Page, server: PageServer, rollout_id: str, app: App, world: World
) -> None:
    for _ in range(20):
        app.post(f"/rollouts/{rollout_id}/pause")
        app.post(f"/rollouts/{rollout_id}/resume")
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    events = page.get_by_role("group", name="Events")
    expect(events).to_be_visible()
    events.evaluate("(element) => { element.focus(); element.scrollTop = 60; }")
    app.post(f"/rollouts/{rollout_id}/pause", {"reason": "a new event"})
    world.pass_time(seconds=5)
    expect(events).to_contain_text("a new event", timeout=9_000)
    assert events.evaluate("(element) => element.scrollTop") == 60
    expect(events).to_be_focused()


def test_a_breached_gate_shows_on_the_page(
    page: Page, server: PageServer, rollout_id: str, world: World, app: App
) -> None:
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_text("Yes: running")).to_be_visible()
    for number in range(20):
        world.hub.devices[f"d-{2 * number:03}"].fault = Fault.FAILING
    while world.rollout(rollout_id).status == "running":
        world.ticks(1)
    expect(page.get_by_text("No: paused")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("It has stopped")).to_be_visible()
    expect(page.get_by_text("The gate of wave all is breached.").first).to_be_visible()
    shown = app.get(f"/rollouts/{rollout_id}")
    breach = next(step for step in shown["gateHistory"] if step["ratio"] >= step["threshold"])
    races = page.get_by_role("img", name="stop line at")
    labels = [race.get_attribute("aria-label") or "" for race in races.all()]
    assert any(f"stop line at {breach['threshold']}" in label for label in labels)


class TestTenThousandDevices:
    """A rollout as large as the matrix shows one by one."""

    @pytest.fixture
    def world(self) -> World:
        return World((device(f"d-{number:05}") for number in range(10_000)), still=True)

    @pytest.fixture
    def strategy(self) -> dict[str, Any]:
        return {}

    def test_each_has_a_square_that_leads_to_it(
        self, page: Page, server: PageServer, rollout_id: str, world: World
    ) -> None:
        world.ticks(2)
        sign_in(page, f"{server.url}?rollout={rollout_id}")
        matrix = page.get_by_role("img", name="Devices in start order")
        expect(matrix).to_be_visible()
        total = re.findall(r"[\d,]{3,}", matrix.get_attribute("aria-label") or "")
        assert sum(int(count.replace(",", "")) for count in total) == 10_000
        matrix.focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text(re.compile(r"^d-\d{5}, wave all"))).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=re.compile(r"Device d-\d{5}"))).to_be_visible()
