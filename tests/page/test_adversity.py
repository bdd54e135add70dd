"""What goes wrong while the page is open: keys, the service, clocks, names, and other people."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Page, expect

from functions.wire.fields import time_text
from tests.functions.use_cases.world import World, device, devices
from tests.page.conftest import App, sign_in
from tests.page.server import PageServer

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin?sig=secret"}
STALE = "Stale: what you see"


def open_rollout(page: Page, server: PageServer, rollout_id: str, **more: str) -> None:
    sign_in(page, f"{server.url}?{urlencode({'rollout': rollout_id, **more})}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0")).to_be_visible()


def create(app: App, *device_ids: str, **more: Any) -> str:
    body = {"firmware": FIRMWARE, "target": {"deviceIds": device_ids}, **more}
    created = app.post("/rollouts", body)
    assert created.status == 201, created.text
    return str(created.body["id"])


def test_a_revoked_key_is_forgotten_and_another_is_requested(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.goto(f"{server.url}?rollout={rollout_id}")
    page.get_by_label("Function key").fill(server.key)
    page.get_by_label("Keep it").check()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pause").click()
    server.key = "the next key"
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible(timeout=9_000)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#freshness")).to_have_text("")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Function key").fill(server.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()


@pytest.mark.parametrize("status", [404, 429, 503])
def test_a_host_that_starts_or_refuses_does_not_end_the_view(  # noqa: PLR0917 - fixtures
    page: Page, server: PageServer, rollout_id: str, app: App, status: int, world: World
) -> None:
    open_rollout(page, server, rollout_id)
    with page.expect_response(lambda response: response.status == status, timeout=9_000):
        server.status = status
        world.pass_time(seconds=5)
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    app.post(f"/rollouts/{rollout_id}/pause")
    world.pass_time(seconds=5)
    server.status = None
    expect(page.get_by_role("heading", name="Firmware 2.4.0: paused")).to_be_visible()


def test_a_rollout_that_is_removed_says_so_and_leads_to_the_others(
    page: Page,
    server: PageServer,
    rollout_id: str,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_rollout(page, server, rollout_id)
    page.get_by_role("button", name="Pause").click()
    with monkeypatch.context() as removed:
        removed.setattr(world.stores.rollouts, "get", lambda _: None)
        world.pass_time(seconds=5)
        expect(page.get_by_role("alert").filter(has_text="does not exist")).to_be_visible(
            timeout=9_000
        )
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="All rollouts").click()
    expect(page.get_by_role("heading", name="Rollouts", exact=True)).to_be_visible()
    expect(page.get_by_text(STALE)).to_be_hidden()


def test_a_dialog_does_not_stay_over_another_view(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    sign_in(page, server.url)
    page.get_by_role("link", name=rollout_id[-6:]).first.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Rollouts", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.go_forward()
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    expect(page).to_have_title("2.4.0: running, Fleet Rollout")


def test_a_browser_that_is_offline_shows_it_at_once(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    open_rollout(page, server, rollout_id)
    page.context.set_offline(True)
    expect(page.get_by_text("This computer is offline.")).to_be_visible(timeout=1_500)
    matrix = page.get_by_role("img", name="Devices in start order")
    matrix.click(position={"x": 3, "y": 3})
    expect(page.get_by_text("The service does not respond.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("This computer is offline.")).to_be_hidden(timeout=5_000)


def test_after_an_hour_of_sleep_the_page_is_stale_and_then_reads_at_once(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.clock.install()
    open_rollout(page, server, rollout_id)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    server.status = 503
    page.clock.fast_forward(3_600_000)
    expect(page.get_by_text(re.compile("No response for 1 h"))).to_be_visible()
    server.status = None
    page.clock.resume()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text(STALE)).to_be_hidden()


def test_a_lost_connection_shows_though_the_clock_is_set_back(
    page: Page, server: PageServer, rollout_id: str
) -> None:
    page.clock.install()
    open_rollout(page, server, rollout_id)
    server.status = 503
    page.clock.set_system_time(page.evaluate("Date.now()") / 1000 - 7200)
    page.clock.run_for(12_000)
    expect(page.get_by_text(STALE)).to_be_visible()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_a_wrong_clock_and_another_zone_change_no_time(
    browser: Any, server: PageServer, rollout_id: str, world: World, zone: str
) -> None:
    at = world.now + timedelta(seconds=20)
    world.until_over(rollout_id)
    context = browser.new_context(timezone_id=zone)
    page = context.new_page()
    page.clock.install(time=0)
    page.clock.resume()
    # In a query, the + of a zone is a space.
    local = (at + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S+01:00")
    sign_in(page, f"{server.url}?rollout={rollout_id}&at={local}")
    expect(page.get_by_text(f"As it was at {at:%Y-%m-%d %H:%M:%S} UTC")).to_be_visible()
    expect(page.get_by_text("This time has not come.")).to_be_hidden()
    context.close()


def test_devices_that_join_leave_the_others_as_they_are(
    page: Page, server: PageServer, app: App, world: World
) -> None:
    target = {"condition": "tags.site = 'berlin'", "joiners": True}
    strategy = {"maxInFlight": 10, "stratifyBy": ["tags.site"]}
    body = {"firmware": FIRMWARE, "target": target, "strategy": strategy}
    rollout_id = app.post("/rollouts", body).body["id"]
    world.ticks(2)
    open_rollout(page, server, rollout_id)
    matrix = page.get_by_role("img", name="Devices in start order")
    world.hub.register(device("late", stratum="a"))
    world.ticks(8)
    assert app.get(f"/rollouts/{rollout_id}")["counts"]["total"] == 131
    expect(page.get_by_role("cell", name="131")).to_be_visible(timeout=9_000)
    label = matrix.get_attribute("aria-label") or ""
    assert "not known" not in label
    assert sum(map(int, re.findall(r"\d+", label))) == 131


@pytest.mark.parametrize("view", ["?", "?device=d-001&"])
@pytest.mark.parametrize("at", ["yesterday", "2026-11-23T12:00:00"])
def test_a_time_without_a_zone_or_none_at_all_is_refused(
    page: Page, server: PageServer, view: str, at: str
) -> None:
    page.goto(f"{server.url}{view}at={at}")
    expect(page.get_by_role("alert").filter(has_text="with a time zone")).to_be_visible()


class TestNames:
    """Names that are markup, run from right to left, or need encoding."""

    STRATA = (
        "<img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "\u202eelprup",
        "שלום",
        "😀" * 30,
        "x" * 128,
    )
    IDS = ("a%2Fb", "c#d?e=f", "h@i$j'k", "100%", "l+m:n,o=p(q)!*")

    @pytest.fixture
    def world(self) -> World:
        fleet = [
            device(f"d-{number:03}", stratum=self.STRATA[number % len(self.STRATA)])
            for number in range(60)
        ]
        return World([*fleet, *(device(name) for name in self.IDS)], still=True)

    def test_of_strata_are_text_and_fit_a_phone(
        self, page: Page, server: PageServer, rollout_id: str, world: World
    ) -> None:
        opened: list[str] = []
        page.on("dialog", lambda dialog: opened.append(dialog.message))
        page.set_viewport_size({"width": 360, "height": 740})
        world.until_over(rollout_id)
        open_rollout(page, server, rollout_id)
        rates = page.get_by_role("group", name="Failure rates")
        expect(rates).to_contain_text("<img src=x onerror=alert(1)>")
        expect(rates).to_contain_text("\ufffdelprup")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert "secret" not in page.content()
        assert opened == []
        assert page.locator("img, a[href^='javascript']").count() == 0

    @pytest.mark.parametrize("name", IDS)
    def test_of_devices_are_encoded_in_links_and_requests(
        self, page: Page, server: PageServer, app: App, world: World, name: str
    ) -> None:
        rollout_id = create(app, name)
        world.until_over(rollout_id)
        open_rollout(page, server, rollout_id)
        page.get_by_role("img", name="Devices in start order").click(position={"x": 3, "y": 3})
        expect(page.get_by_role("heading", name=f"Device {name}")).to_be_visible()
        expect(page.get_by_role("heading", name="Why is it completed?")).to_be_visible()
        assert page.url.endswith(f"device={quote(name, safe='*').replace('%20', '+')}")
        page.reload()
        page.get_by_label("Function key").fill(server.key)
        page.keyboard.press("Enter")
        page.get_by_role("link", name=rollout_id).click()
        expect(page.get_by_role("heading", name="Firmware 2.4.0: completed")).to_be_visible()

    def test_that_no_url_can_have_say_so(self, page: Page, server: PageServer) -> None:
        page.goto(f"{server.url}?device=..")
        expect(page.get_by_text('No URL can name a device whose id is "." or ".."')).to_be_visible()


class TestOverview:
    """A list of more rollouts than it reads at once."""

    @pytest.fixture
    def world(self) -> World:
        return World(devices(30), still=True)

    @pytest.fixture
    def paused_id(self, app: App, world: World) -> str:
        """Return a paused rollout that is older than 24 others."""
        paused = create(app, "d-029", startAt="2026-11-24T12:00:00Z")
        app.post(f"/rollouts/{paused}/pause", {"by": "ada", "reason": "not on a Monday"})
        for number in range(24):
            world.pass_time(seconds=1)
            create(app, f"d-{number:03}", labels={"build": f"nightly {number}"})
        return paused

    def test_shows_on_top_what_waits_however_old_it_is(
        self, page: Page, server: PageServer, paused_id: str
    ) -> None:
        sign_in(page, server.url)
        needed = page.get_by_role("region", name="Needs a person")
        expect(needed).to_contain_text("Paused by ada: not on a Monday")
        expect(page.get_by_text("20 of the latest 20")).to_be_visible()
        expect(page).to_have_title("1 waiting, Fleet Rollout")
        needed.get_by_role("link", name=paused_id[-6:]).click()
        expect(page.get_by_role("heading", name="Firmware 2.4.0: paused")).to_be_visible()

    @pytest.mark.usefixtures("paused_id")
    def test_keeps_its_filter_in_its_link(self, page: Page, server: PageServer) -> None:
        sign_in(page, server.url)
        rollouts = page.get_by_role("region", name="Rollouts", exact=True)
        page.get_by_label("Status").select_option("paused")
        expect(rollouts).to_contain_text("1 of the latest 1")
        page.get_by_label("Status").select_option("all")
        page.get_by_label("Search").fill("nightly 1")
        expect(rollouts).to_contain_text("11 of the latest 25")
        assert page.url.endswith("?search=nightly+1")
        sign_in(page, page.url)
        expect(rollouts).to_contain_text("11 of the latest 25")

    def test_shows_the_rollouts_of_an_earlier_time(
        self, page: Page, server: PageServer, paused_id: str, world: World, app: App
    ) -> None:
        at = time_text(world.now - timedelta(seconds=22))
        app.post(f"/rollouts/{paused_id}/cancel")
        world.ticks(20)
        sign_in(page, f"{server.url}?at={at}")
        rollouts = page.get_by_role("region", name="Rollouts", exact=True)
        expect(rollouts).to_contain_text("3 of the latest 3")
        row = rollouts.get_by_role("row").filter(has_text=paused_id[-6:])
        expect(row).to_contain_text("paused")
        expect(page.get_by_role("button", name="Freeze all starts")).to_be_hidden()
        row.get_by_role("link").click()
        expect(page.get_by_text("As it was at")).to_be_visible()
        expect(page.get_by_role("heading", name="Firmware 2.4.0: paused")).to_be_visible()


def test_a_device_is_shown_as_it_was_at_a_time(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.ticks(1)
    at = time_text(world.now)
    world.until_over(rollout_id)
    open_rollout(page, server, rollout_id, at=at)
    page.get_by_role("img", name="Devices in start order").click(position={"x": 3, "y": 3})
    expect(
        page.get_by_role("heading", name=re.compile("Why is it (accepted|downloading)"))
    ).to_be_visible()
    assert "at=" in page.url
    expect(page.get_by_role("group", name="History")).not_to_contain_text("completed")
    page.get_by_role("link", name="Show it now").click()
    expect(page.get_by_role("heading", name="Why is it completed?")).to_be_visible()


def test_a_rollout_without_devices_is_shown_until_it_is_cancelled(
    page: Page, server: PageServer, app: App, world: World
) -> None:
    later = time_text(world.now + timedelta(days=1))
    body = {
        "firmware": FIRMWARE,
        "target": {"condition": "tags.site = 'berlin'"},
        "strategy": {"resolveTarget": "start"},
        "startAt": later,
    }
    rollout_id = app.post("/rollouts", body).body["id"]
    open_rollout(page, server, rollout_id)
    expect(page.get_by_text("it starts at 2026-11-24")).to_be_visible()
    app.post(f"/rollouts/{rollout_id}/cancel")
    world.pass_time(seconds=5)
    expect(page.get_by_role("heading", name="Firmware 2.4.0: cancelled")).to_be_visible(
        timeout=9_000
    )
    expect(page.get_by_text("All devices had ended at")).to_be_visible()
