"""Run the commands of docs/tutorial.md and draw what they print: `python -m tests.docs.tutorial`.

The API works in memory on a virtual clock, so each run prints the same. The devices fail as those
of `make up DEVICES=30 FAIL=20%` do, and the same ones.
"""

import io
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from simulator.cloud.failing_devices import FAILURE, choose_failing
from simulator.paths import REPOSITORY
from simulator.rehearsal import virtual_update
from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import Cloud, advancing, make_cloud
from tests.functions.use_cases.world import World, device

TUTORIAL = REPOSITORY / "docs/tutorial.md"
WIDTH = 100
DECIDE = "## 5. Decide"
# A block of commands, and the picture of what they print.
_BLOCK = re.compile(
    r"```sh\n(?P<commands>.*?)```\n+(?:!\[[^]]*\]\((?P<picture>[^)]+)\))?", re.DOTALL
)
# These start the local cloud and set up the shell; the tests of the local cloud run `make up`.
_ELSEWHERE = ("make ", "export ", "alias ")
# The fonts that rich names are on a server; a picture needs none.
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)

# The time decides which devices come first: at this one, the second wave is paused.
_STARTS_AT = 5


@dataclass(frozen=True)
class Ran:
    """A command of the tutorial, what it printed, and how it ended."""

    command: str  # as it is written in the tutorial
    printed: str
    exit_code: int


@dataclass(frozen=True)
class Block:
    """The commands of one block, in their order."""

    ran: list[Ran]
    picture: Path | None


class Reader:
    """Follows the tutorial from its beginning."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._rollout_id = "ROLLOUT"

    def run(self, command: str) -> Ran:
        program, *arguments = shlex.split(command.replace("ROLLOUT", self._rollout_id))
        assert program == "fleet", command
        result = self._cloud.run(*arguments)
        if arguments[0] == "create":
            self._rollout_id = result.output.split()[1].rstrip(":")
        return Ran(command, result.output, result.exit_code)

    def follow(self, text: str) -> list[Block]:
        """Run the commands in the blocks of a text."""
        return [
            Block(
                [self.run(command) for command in _commands(found["commands"])],
                TUTORIAL.parent / found["picture"] if found["picture"] else None,
            )
            for found in _BLOCK.finditer(text)
        ]


@contextmanager
def reader() -> Iterator[Reader]:
    """Yield a reader whose `fleet` reaches the devices of `make up DEVICES=30 FAIL=20%`."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("FORCE_COLOR", "1")
        patch.setenv("COLUMNS", str(WIDTH))
        patch.delenv("NO_COLOR", raising=False)
        patch.setattr(virtual_update, "ERROR_CODE", FAILURE.error.code)
        patch.setattr(virtual_update, "_ERROR_MESSAGE", FAILURE.error.message)
        patch.chdir(folder)
        cloud = make_cloud(_make_world(), patch, Path(folder))
        cloud.between = advancing(cloud)
        yield Reader(cloud)


def draw(block: Block) -> str:
    """Return a picture (SVG) of the commands and of what they printed."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for item in block.ran:
        console.print(Text(f"$ {item.command}", style="bold"))
        console.print(Text.from_ansi(item.printed.rstrip()))
    svg = console.export_svg(title="fleet", unique_id="fleet")
    return _FONTS.sub("", svg).replace("Fira Code, ", "")


def pictures(blocks: list[Block]) -> dict[Path, str]:
    """Return the pictures by their files."""
    return {block.picture: draw(block) for block in blocks if block.picture}


def _commands(text: str) -> list[str]:
    """Return the commands of `fleet` in a block; a line that ends with a backslash goes on."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line for line in lines if line and not line.startswith(_ELSEWHERE)]


def _make_world() -> World:
    ids = [f"thermostat-{number}" for number in range(1, 31)]
    failing = choose_failing(ids, Decimal(20))
    faults = {name: Fault.FAILING if name in failing else Fault.NONE for name in ids}
    found = (device(name, stage=1, fault=fault) for name, fault in faults.items())
    world = World(found, still=True)  # reads take no time, however many a wait needs
    world.pass_time(seconds=_STARTS_AT)
    return world


if __name__ == "__main__":
    with reader() as person:
        drawn = pictures(person.follow(TUTORIAL.read_text()))
    for path, svg in drawn.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg)
        print(path.relative_to(REPOSITORY))
