"""Commands whose options are the fields of a dataclass."""

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner, Result

from simulator.command_line import Group, command, option_parser


def tenths(text: str) -> float:
    return float(text) / 10


@dataclass(frozen=True, kw_only=True)
class Address:
    host: Annotated[str, typer.Option(envvar="TEST_HOST", help="The host.")] = "here"
    port: Annotated[int, typer.Option(min=1)] = 80
    scheme: Annotated[str, typer.Option()] = "http"
    secure: bool = False

    def __post_init__(self) -> None:
        if self.host == "nowhere":
            raise ValueError("the host must be somewhere")


@dataclass(frozen=True, kw_only=True)
class Options:
    name: Annotated[str, typer.Argument()]
    address: Annotated[
        Address, Group(panel="Address", fixed={"scheme": "https", "secure": True})
    ] = field(default_factory=Address)
    tags: Annotated[list[str], typer.Option("--tag")] = field(default_factory=list)
    share: Annotated[float, typer.Option(parser=option_parser(tenths))] = 0.5


def run(*arguments: str, **environment: str) -> tuple[Result, list[Options]]:
    """Return how the command ended, and the options that it was called with."""
    called: list[Options] = []
    app = typer.Typer(add_completion=False)

    def program(options: Options, context: typer.Context) -> int:
        """Do what the test says."""
        assert context.command.params
        called.append(options)
        return 7

    app.command()(command(program))
    settings = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner(env=settings | environment).invoke(app, arguments), called


def test_fields_are_options_with_their_defaults() -> None:
    ended, called = run("x")

    assert called == [Options(name="x", address=Address(scheme="https", secure=True))]
    assert ended.exit_code == 7


def test_options_arguments_and_groups_are_read() -> None:
    words = ("x", "--port", "81", "--tag", "a", "--tag", "b", "--share", "7")
    _, [options] = run(*words, TEST_HOST="there")

    assert options.address == Address(host="there", port=81, scheme="https", secure=True)
    assert (options.tags, options.share) == (["a", "b"], 0.7)


def test_help_shows_groups_as_panels_and_hides_fixed_and_plain_fields() -> None:
    ended, _ = run("--help")

    assert "Do what the test says." in ended.output
    assert "─ Address ─" in ended.output
    assert "TEST_HOST" in ended.output
    assert "--scheme" not in ended.output
    assert "--secure" not in ended.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--scheme", "ftp"], "--scheme"),
        (["x", "--port", "0"], "--port"),
        (["x", "--share", "half"], "could not convert string to float"),
        (["x", "--host", "nowhere"], "error: the host must be somewhere"),
        ([], "name"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_option(arguments: list[str], message: str) -> None:
    ended, called = run(*arguments)

    assert (ended.exit_code, called) == (2, [])
    assert message in ended.output


def test_the_command_line_imports_nothing_that_only_some_commands_need() -> None:
    code = (
        "import sys, simulator.__main__\n"
        "slow = ('aiohttp', 'azure', 'cryptography', 'pydantic', 'requests')\n"
        "print(*(name for name in slow if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == []
