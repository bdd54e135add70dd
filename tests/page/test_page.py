"""The page in a browser: keys, overview, live update, gate values, a look back, lost connection."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from functions.wire.fields import time_text
from tests.functions.use_cases.world import World
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
    expect(page.get_by_role("region", name="Gate values")).to_be_visible()
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
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    server.loses_responses = True
    expect(page.get_by_text("Stale: what you see")).to_be_visible(timeout=13_000)
    server.loses_responses = False
    expect(page.get_by_text("Stale: what you see")).to_be_hidden(timeout=10_000)


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
