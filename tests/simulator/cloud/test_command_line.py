"""The commands of `python -m simulator`: help texts and wrong usage."""

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.cloud.ports import PORTS

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})


def help_of(*command: str) -> str:
    result = RUNNER.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    return result.output


def test_help_lists_every_command_and_the_exit_codes() -> None:
    text = help_of()

    commands = (
        "hub",
        "host",
        "device",
        "fleet",
        "rehearse",
        "keygen",
        "sign",
        "verify",
        "up",
        "demo",
    )
    assert all(command in text for command in commands)
    assert "Exit codes" in text


@pytest.mark.parametrize("command", ["up", "demo"])
def test_every_port_has_a_flag_and_a_variable(command: str) -> None:
    text = help_of(command)

    for port in PORTS:
        assert port.flag in text
        assert port.listener.variable in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--devices", "0"],
        ["demo", "--host-port", "70000"],
        ["up", "--devices", "-1"],
        ["device"],
        ["device", "--connection-string", "HostName=localhost", "--fail-at", "rebooting"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert RUNNER.invoke(app, arguments).exit_code == 2
