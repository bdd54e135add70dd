"""The page for everyone: axe-core, narrow and wide screens, less motion, and paper."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from simulator.paths import LOCAL_DIRECTORY
from tests.functions.use_cases.world import World
from tests.page.conftest import sign_in
from tests.page.server import PageServer

AXE = LOCAL_DIRECTORY / "page-tools/node_modules/axe-core/axe.min.js"
REGIONS = ("Fleet", "Gate", "Where it hurts", "Plan and reality", "Waves")


def violations(page: Page) -> list[str]:
    """Return what axe-core finds, with the elements."""
    found: Any = page.evaluate("async () => (await axe.run()).violations")
    return [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]]


@pytest.fixture
def page_with_axe(browser: Browser, page: Page) -> Page:  # noqa: ARG001 - the same browser
    if not AXE.exists():
        pytest.skip("AXE-CORE IS MISSING: how accessible the page is, is not tested. make test")
    # An evaluated script is not subject to the page's content security policy.
    page.add_init_script(path=AXE)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(
    page_with_axe: Page, server: PageServer, rollout_id: str, world: World, scheme: Any
) -> None:
    page = page_with_axe
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(server.url)
    expect(page.get_by_label("Function key")).to_be_visible()
    found = {"key": violations(page)}
    sign_in(page, server.url)
    page.get_by_label("Search").wait_for()
    page.get_by_role("group", name="Rollouts").wait_for()
    found["overview"] = violations(page)
    page.get_by_role("button", name="Freeze all starts").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["freeze"] = violations(page)
    world.ticks(8)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("group", name="Gate values")).to_be_visible()
    found["rollout"] = violations(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["dialog"] = violations(page)
    sign_in(page, f"{server.url}?rollout={rollout_id}&device=d-003")
    expect(page.get_by_role("heading", name="Why is it failed?")).to_be_visible()
    found["device"] = violations(page)
    sign_in(page, f"{server.url}?rollout={rollout_id}&at=2026-11-23T12:00:20Z")
    expect(page.get_by_text("As it was at")).to_be_visible()
    found["moment"] = violations(page)
    assert not any(found.values()), found


def test_nothing_moves_if_less_motion_is_preferred(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.emulate_media(reduced_motion="reduce")
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0")).to_be_visible()
    moving = """[...document.querySelectorAll('*')].filter((element) => {
        const style = getComputedStyle(element);
        return style.transitionDuration !== '0s' || style.animationName !== 'none';
    }).map((element) => element.outerHTML.slice(0, 80))"""
    assert page.evaluate(moving) == []


def test_a_wall_shows_every_chart_at_once(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.until_over(rollout_id)
    page.set_viewport_size({"width": 3840, "height": 2160})
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0")).to_be_visible()
    for name in REGIONS:
        box = page.get_by_role("region", name=name, exact=True).bounding_box()
        assert box is not None, name
        assert box["y"] + box["height"] <= 2160, name
    assert page.evaluate("document.querySelector('main').clientWidth") > 3800
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 24


def test_a_rollout_is_printed_on_one_page(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.until_over(rollout_id)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_text("129 completed, 1 failed")).to_be_visible()
    pdf = page.pdf(format="A4")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1040})  # A4 without its margins
    for name in REGIONS:
        box = page.get_by_role("region", name=name, exact=True).bounding_box()
        assert box is not None, name
        assert box["y"] + box["height"] <= 1020, name
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 1
