"""Test the command `fleet` in a process of its own: output and exit codes."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.__main__ import app
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
UNREACHABLE = "HostName=127.0.0.1:9;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0"

ALL_CONNECTED = " connected 3/3, updating 0, completed 0, failed 0\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_command_prints_the_tally_and_exits_with_0_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    address = free_address()
    options = HubOptions(certificates=tmp_path, address=address, https_port=0, mqtt_port=0)
    with LocalHub(options) as hub:
        command = [
            *(sys.executable, "-u", "-m", "simulator", "fleet", "--devices", "3"),
            *("--connection-string", hub.connection_string, "--ca", str(hub.ca_file)),
            *("--mqtt-port", str(hub.mqtt_port), "--fail", "34%"),
        ]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            watchdog = threading.Timer(20, process.kill)
            watchdog.start()
            assert process.stdout is not None
            first = process.stdout.readline()
            told = any(line.endswith(ALL_CONNECTED) for line in process.stdout)
            process.send_signal(number)
            rest = process.stdout.read()
            code = process.wait()
            watchdog.cancel()

    assert first == "3 devices: 2 without fault, 1 failing\n"
    assert told
    assert code == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fail", "5"], 2),
        (["--fail", "60%", "--hang", "60%"], 2),
        (["--devices", "0"], 2),
        (["--connection-string", "HostName=x"], 2),
        (["--connection-string", UNREACHABLE, "--devices", "1"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_failures_have_their_exit_codes(arguments: list[str], code: int) -> None:
    assert RUNNER.invoke(app, ["fleet", *arguments]).exit_code == code
