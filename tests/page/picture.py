"""Draw docs/page.svg, the picture of the page in the README: `python -m tests.page.picture`.

It shows a rollout in memory, on a virtual clock. Chromium must be installed.
"""

import re
import sys

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from simulator.paths import REPOSITORY
from tests.functions.triggers.client import Client
from tests.page.conftest import CHROMIUM, App, sign_in
from tests.page.server import PageServer
from tests.page.story import make_world, pause_at_gate

PICTURE = REPOSITORY / "docs/page.svg"
_DRAW = REPOSITORY / "tests/page/picture.js"


def main() -> int:
    if CHROMIUM is None:
        print("python -m tests.page.picture, with Chromium installed")
        return 2
    with pytest.MonkeyPatch.context() as patch:
        world = make_world()
        rollout_id = pause_at_gate(world, App(Client(world, patch)))
        with PageServer().running() as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            PICTURE.write_text(draw(browser, server, rollout_id))
            browser.close()
    return 0


def draw(browser: Browser, server: PageServer, rollout_id: str) -> str:
    """Return the upper part of the page of a rollout as SVG."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme="light")
    page.add_init_script(path=_DRAW)
    sign_in(page, f"{server.url}?rollout={rollout_id}")
    expect(page.get_by_role("group", name="Gate values")).to_be_visible()
    expect(page.get_by_text("device-00")).to_be_visible()  # of a failure, read last
    drawn = str(page.evaluate("picture('Gate')"))
    page.close()
    return drawn


def words(drawn: str) -> list[str]:
    """Return the words of a picture, whatever its line breaks. Ages are left out."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    return re.sub(r"\d+ s ago", "", " ".join(texts)).split()


if __name__ == "__main__":
    sys.exit(main())
