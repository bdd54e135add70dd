"""The picture of the page that the README shows has the words of the page."""

import pytest
from playwright.sync_api import Browser

from tests.functions.use_cases.world import World
from tests.page.conftest import App
from tests.page.picture import PICTURE, draw, words
from tests.page.server import PageServer
from tests.page.story import make_world, pause_at_gate


@pytest.fixture
def world() -> World:
    return make_world()


def test_the_picture_says_what_the_page_says(
    browser: Browser, server: PageServer, world: World, app: App
) -> None:
    drawn = draw(browser, server, pause_at_gate(world, app))
    assert words(drawn) == words(PICTURE.read_text()), "run python -m tests.page.picture"
