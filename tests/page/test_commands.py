"""Commands on the page: what the dialog says, keys, errors, and a response that is lost."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.functions.use_cases.world import World
from tests.page.conftest import App, sign_in
from tests.page.server import COMMAND_KEY, KEY, PageServer


def open_rollout(page: Page, server: PageServer, rollout_id: str) -> None:
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("heading", name="Firmware 2.4.0")).to_be_visible()


def open_dialog(page: Page, command: str) -> None:
    page.get_by_role("button", name=command, exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()


def send(page: Page, command: str, reason: str = "the canary runs hot") -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_label("Your name").fill("ada")
    key = dialog.get_by_label("Key for commands")
    if key.is_visible():
        key.fill(COMMAND_KEY)
    dialog.get_by_role("button", name=command, exact=True).click()


def test_pause_says_what_happens_and_takes_its_own_key(
    page: Page, server: PageServer, rollout_id: str, world: World, app: App
) -> None:
    world.ticks(1)
    counts = app.get(f"/rollouts/{rollout_id}")["counts"]
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Pause")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{counts['queued']} queued devices wait until a resume")
    expect(dialog).to_contain_text(f"{counts['updating']} devices that are updating go on")
    dialog.get_by_label("Key for commands").fill(KEY)
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(dialog).to_contain_text("Nothing was done: the key for commands is missing or wrong.")
    assert server.commands == []
    send(page, "Pause")
    expect(dialog).to_contain_text("Done: the rollout is paused.")
    world.pass_time(seconds=5)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", name="Firmware 2.4.0: paused")).to_be_visible()
    event = app.get(f"/rollouts/{rollout_id}/events")["value"][-1]
    assert (event["action"], event["by"]) == ("paused", "ada")
    assert "the canary runs hot" in event["message"]
    assert "key" not in page.url


def test_resume_acknowledges_the_revision_that_was_shown(
    page: Page, server: PageServer, rollout_id: str, app: App
) -> None:
    app.post(f"/rollouts/{rollout_id}/pause")
    revision = app.get(f"/rollouts/{rollout_id}")["revision"]
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Resume")
    expect(page.get_by_role("dialog")).to_contain_text(f"revision {revision}")
    sent: list[Any] = []
    page.on("request", lambda request: sent.append((request.method, request.post_data_json)))
    send(page, "Resume", "checked by hand")
    expect(page.get_by_role("dialog")).to_contain_text("Done: the rollout is running.")
    bodies = [body for method, body in sent if method == "POST"]
    assert bodies == [{"revision": revision, "reason": "checked by hand", "by": "ada"}]


def test_cancel_says_how_many_devices_it_cancels(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.ticks(3)
    queued = world.rollout(rollout_id).counts.queued
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Cancel")
    expect(page.get_by_role("dialog")).to_contain_text(f"{queued} queued devices will be cancelled")
    send(page, "Cancel")
    expect(page.get_by_role("dialog")).to_contain_text("Done: the rollout is cancelled.")
    assert world.rollout(rollout_id).status == "cancelled"


def test_a_rollback_leads_to_the_new_rollout(
    page: Page, server: PageServer, rollout_id: str, world: World, app: App
) -> None:
    world.until_over(rollout_id)
    body = {
        "firmware": {"version": "2.5.0", "packageUri": "https://packages.example/fw-2.5.0.bin"},
        "target": {"deviceIds": ["d-001", "d-002"]},
    }
    later = app.post("/rollouts", body).body["id"]
    world.until_over(later)
    sign_in(page, f"{server.url}?rollout={later}")
    open_dialog(page, "Roll back")
    expect(page.get_by_role("dialog")).to_contain_text("2 completed devices")
    send(page, "Roll back")
    page.get_by_role("dialog").get_by_role("link", name="rollback").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", name="Firmware 2.4.0: running")).to_be_visible()
    assert app.get(f"/rollouts/{later}")["rolledBackBy"] in page.url


def test_a_retry_takes_the_states_that_are_chosen(
    page: Page, server: PageServer, rollout_id: str, world: World, app: App
) -> None:
    world.ticks(3)
    app.post(f"/rollouts/{rollout_id}/cancel")
    world.until_over(rollout_id)
    counts = app.get(f"/rollouts/{rollout_id}")["counts"]
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Retry")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(f"{counts['failed']} failed device").uncheck()
    send(page, "Retry")
    expect(dialog).to_contain_text("Choose at least one.")
    dialog.get_by_label(f"{counts['cancelled']} cancelled devices").check()
    send(page, "Retry")
    expect(dialog).to_contain_text("Done: the rollout is running.")
    after = app.get(f"/rollouts/{rollout_id}")["counts"]
    assert (after["cancelled"], after["failed"]) == (0, counts["failed"])


class TestApproval:
    """A wave that waits for an approval."""

    @pytest.fixture
    def strategy(self) -> dict[str, Any]:
        waves = [{"name": "canary", "size": 2}, {"name": "rest", "size": 128, "approval": True}]
        return {"waves": waves}

    @pytest.fixture(autouse=True)
    def wait_for_approval(self, world: World, rollout_id: str) -> None:
        for _ in range(30):
            world.tick()
            reason = world.rollout(rollout_id).status_reason
            if reason is not None and reason.code == "awaitingApproval":
                return
        pytest.fail("no wave waits for approval")

    def test_is_given_by_keyboard_only(
        self, page: Page, server: PageServer, rollout_id: str, app: App
    ) -> None:
        page.goto(f"{server.url}?rollout={rollout_id}")
        expect(page.get_by_label("Function key")).to_be_focused()
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Approve")
        expect(button).to_be_visible()
        press_until_focused(page, "Approve")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Opens wave rest: 128 devices will start.")
        expect(dialog.get_by_label("Reason")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(button).to_be_focused()
        page.keyboard.press("Space")
        page.keyboard.type("the canary is well")
        page.keyboard.press("Tab")
        page.keyboard.type("ada")
        page.keyboard.press("Tab")
        page.keyboard.type(COMMAND_KEY)
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("Done: the rollout is running.")
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        events = app.get(f"/rollouts/{rollout_id}/events")["value"]
        approved = [event for event in events if event["action"] == "approved"]
        assert [event["by"] for event in approved] == ["ada"]

    def test_of_what_has_changed_meanwhile_is_not_sent(
        self, page: Page, server: PageServer, rollout_id: str, app: App, world: World
    ) -> None:
        open_rollout(page, server, rollout_id)
        open_dialog(page, "Approve")
        app.post(f"/rollouts/{rollout_id}/pause", {"by": "grace"})
        world.pass_time(seconds=5)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The rollout is paused now.", timeout=15_000)
        expect(dialog.get_by_role("button", name="Approve")).to_be_disabled()
        assert server.commands == []


def press_until_focused(page: Page, name: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            return
    pytest.fail(f"the Tab key does not reach {name}")


@pytest.mark.parametrize(("command", "action"), [("Pause", "paused"), ("Cancel", "cancelled")])
def test_a_command_whose_response_is_lost_is_not_repeated(  # noqa: PLR0917 - fixtures
    page: Page, server: PageServer, rollout_id: str, app: App, command: str, action: str
) -> None:
    # A browser repeats a request by itself when a kept connection breaks; the app refuses it.
    open_rollout(page, server, rollout_id)
    open_dialog(page, command)
    server.loses_command_responses = True
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    send(page, command)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("But the command was carried out: ")
    expect(dialog.get_by_role("button", name=command, exact=True)).to_be_disabled()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert sent.count("POST") == 1
    events = app.get(f"/rollouts/{rollout_id}/events")["value"]
    assert [event["action"] for event in events].count(action) == 1


def test_a_lost_command_that_was_not_carried_out_says_so(
    page: Page, server: PageServer, rollout_id: str, app: App
) -> None:
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Pause")
    page.route("**/pause", lambda route: route.abort())
    send(page, "Pause")
    expect(page.get_by_role("dialog")).to_contain_text("The events do not show the command")
    assert app.get(f"/rollouts/{rollout_id}")["status"] == "running"


def test_a_refused_command_shows_the_reason_of_the_api(
    page: Page, server: PageServer, rollout_id: str, world: World
) -> None:
    world.until_over(rollout_id)
    open_rollout(page, server, rollout_id)
    open_dialog(page, "Roll back")
    send(page, "Roll back")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing was done: No device can be brought back")
    expect(dialog.get_by_role("button", name="Roll back", exact=True)).to_be_enabled()


class TestFreeze:
    """The freeze of all starts, on the overview."""

    def test_is_set_and_removed_with_a_dialog_each(
        self, page: Page, server: PageServer, rollout_id: str, app: App, world: World
    ) -> None:
        queued = world.rollout(rollout_id).counts.queued
        sign_in(page, server.url)
        open_dialog(page, "Freeze all starts")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"1 open rollout with {queued} queued devices")
        dialog.get_by_label("Until, in UTC").fill("2026-11-24T02:00")
        send(page, "Freeze", "incident 4711")
        expect(dialog).to_contain_text("Done: starts are frozen in all rollouts.")
        page.keyboard.press("Enter")
        banner = "frozen by ada, until 2026-11-24 02:00:00 UTC. Reason: incident 4711"
        expect(page.get_by_text(banner)).to_be_visible()
        world.ticks(3)
        assert world.rollout(rollout_id).counts.queued == queued
        open_dialog(page, "Remove the freeze")
        expect(dialog).to_contain_text("incident 4711")
        dialog.get_by_label("Reason").fill("solved")
        dialog.get_by_role("button", name="Remove", exact=True).click()
        expect(dialog).to_contain_text("Done: rollouts go on with the next tick.")
        removed = app.get("/freeze")
        assert (removed["endedBy"], removed["endedReason"]) == ("ada", "solved")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Freeze all starts")).to_be_visible()

    def test_of_another_person_is_not_replaced_unseen(
        self, page: Page, server: PageServer, rollout_id: str, app: App
    ) -> None:
        sign_in(page, server.url)
        expect(page.get_by_role("link", name=rollout_id[-6:])).to_be_visible()
        open_dialog(page, "Freeze all starts")
        app.put("/freeze", {"reason": "audit", "by": "grace"})
        send(page, "Freeze", "incident 4711")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The freeze has revision 1, not 0")
        expect(dialog).not_to_contain_text("carried out")
        assert app.get("/freeze")["reason"] == "audit"

    def test_whose_response_is_lost_is_found(
        self, page: Page, server: PageServer, rollout_id: str, app: App
    ) -> None:
        sign_in(page, server.url)
        expect(page.get_by_role("link", name=rollout_id[-6:])).to_be_visible()
        open_dialog(page, "Freeze all starts")
        server.loses_command_responses = True
        send(page, "Freeze", "incident 4711")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("ada has set a")
        assert app.get("/freeze")["revision"] == 1
