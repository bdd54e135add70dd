"""The commands of the tutorial work in their order, and its pictures show what they print."""

import re

import pytest

from simulator.paths import REPOSITORY
from tests.docs import tutorial
from tests.docs.tutorial import DECIDE, TUTORIAL, Block

TEXT = TUTORIAL.read_text()
# Of a person who decides otherwise than the blocks do.
OTHER_DECISIONS = re.findall(r"`(fleet \w+ ROLLOUT[^`]*)`", TEXT.partition(DECIDE)[2])


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    with tutorial.reader() as reader:
        return reader.follow(TEXT)


def test_the_commands_end_as_the_tutorial_says(blocks: list[Block]) -> None:
    ended = {item.command.split()[1]: item for block in blocks for item in block.ran}
    codes = {name: item.exit_code for name, item in ended.items() if item.exit_code}
    assert codes == {"create": 5}
    assert "  failed  reported: " in ended["why"].printed
    # As the text beside the picture says.
    assert "paused by rollout: Wave rest: " in ended["create"].printed


def test_its_pictures_show_what_the_commands_print(blocks: list[Block]) -> None:
    """Draw them again with `python -m tests.docs.tutorial`."""
    drawn = tutorial.pictures(blocks)
    folder = REPOSITORY / "docs/tutorial"
    assert set(folder.iterdir()) == set(drawn)
    assert [path.name for path, svg in drawn.items() if path.read_text() != svg] == []


@pytest.mark.parametrize("command", OTHER_DECISIONS)
def test_the_other_decisions_are_possible_as_well(command: str) -> None:
    with tutorial.reader() as reader:
        reader.follow(TEXT.partition(DECIDE)[0])
        assert reader.run(command).exit_code == 0
    assert len(OTHER_DECISIONS) == 2
