"""Take screenshots of the page: `python -m tests.page.screenshots DIRECTORY`.

They show rollouts in memory, on a virtual clock. Chromium must be installed.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from functions.wire.fields import time_text
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World
from tests.page.conftest import CHROMIUM, sign_in
from tests.page.server import PageServer
from tests.page.story import FIRMWARE, STRATEGY, advance_to_approval, make_world

SIZES = {"desk": (1440, 1000), "wall": (3840, 2160), "phone": (360, 740)}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or CHROMIUM is None:
        print("python -m tests.page.screenshots DIRECTORY, with Chromium installed")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        world = make_world()
        client = Client(world, patch)
        server = PageServer()
        with server.running(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            shots = Shots(folder, server, browser.new_page)
            run = lambda work, *more: thread.submit(work, *more).result()  # noqa: E731
            _take_all(shots, world, client, run)
            browser.close()
    return 0


class Shots:
    """Where screenshots go, and how a page is opened."""

    def __init__(self, folder: Path, server: PageServer, new_page: Callable[..., Page]) -> None:
        self._folder, self._server, self._new_page = folder, server, new_page

    def take(
        self, name: str, query: str, *, size: str = "desk", scheme: str = "light", **more: Any
    ) -> None:
        width, height = SIZES[size]
        page = self._new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        sign_in(page, self._server.url + query)
        page.wait_for_timeout(1500)
        if "command" in more:
            page.get_by_role("button", name=more["command"], exact=True).click()
        path = self._folder / f"{name}.png"
        page.screenshot(path=path, full_page=size != "wall" and "command" not in more)
        page.close()
        print(path)


def _take_all(shots: Shots, world: World, client: Client, run: Callable[..., Any]) -> None:
    body = {
        "firmware": FIRMWARE,
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": STRATEGY,
    }
    rollout_id = run(client.post, "/rollouts", body).body["id"]
    query = f"?rollout={rollout_id}"
    run(world.ticks, 4)
    shots.take("running", query)
    before = time_text(world.now)
    run(advance_to_approval, world, rollout_id)
    shots.take("approval", query, command="Approve")
    run(client.post, f"/rollouts/{rollout_id}/approve", {"by": "ada", "reason": "canary is well"})
    for _ in range(400):
        run(world.tick)
        if world.rollout(rollout_id).status != "running":
            break
    shots.take("paused", query)
    shots.take("paused-dark", query, scheme="dark")
    shots.take("wall", query, size="wall", scheme="dark")
    shots.take("phone", query, size="phone")
    shots.take("resume", query, command="Resume")
    shots.take("moment", f"{query}&at={before}")
    shots.take("overview", "")
    failed = run(client.get, f"/rollouts/{rollout_id}/devices?state=failed").body["value"][0]
    shots.take("device", f"{query}&device={failed['deviceId']}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
