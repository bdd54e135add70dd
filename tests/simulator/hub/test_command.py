"""The hub as a program, and as a context manager that cannot start."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from simulator.hub import HubOptions, LocalHub
from simulator.hub.command import run
from simulator.hub.server import PortTakenError

PROGRAM = """
import sys
from pathlib import Path
from simulator.hub import HubOptions
from simulator.hub.command import run
sys.exit(run(HubOptions(certificates=Path(sys.argv[1]), https_port=0, mqtt_port=0)))
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_hub_prints_how_to_connect_and_stops_on_a_signal(
    certificates: Path, ending: signal.Signals
) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(certificates)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] and not lines[-1].startswith("hub ready"):
            lines.append(process.stdout.readline())
        process.send_signal(ending)
        _rest, errors = process.communicate(timeout=10)
    # asyncio reports slow steps in development mode; those depend on the machine's load.
    reports = [line for line in errors.splitlines() if not line.startswith("Executing <")]
    assert (process.returncode, reports) == (0, [])
    banner = "".join(lines)
    assert "HostName=localhost:" in banner
    assert "SharedAccessKeyName=iothubowner;SharedAccessKey=" in banner
    assert "DeviceId=" in banner
    assert str(certificates / "ca.pem") in banner


def test_an_idle_hub_uses_almost_no_processor_time(certificates: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(certificates)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("hub ready"):
            assert process.poll() is None
        program = psutil.Process(process.pid)
        before = program.cpu_times()
        time.sleep(1)
        after = program.cpu_times()
        process.terminate()
    assert after.user + after.system - before.user - before.system <= 0.03


@pytest.mark.parametrize(("port", "flag"), [("https", "--https-port"), ("mqtt", "--mqtt-port")])
def test_a_taken_port_is_named_with_its_flag(
    certificates: Path, capsys: pytest.CaptureFixture[str], port: str, flag: str
) -> None:
    free = HubOptions(certificates=certificates, https_port=0, mqtt_port=0)
    with LocalHub(free) as hub:
        taken = hub.https_port if port == "https" else hub.mqtt_port
        again = HubOptions(
            certificates=certificates,
            https_port=taken if port == "https" else 0,
            mqtt_port=taken if port == "mqtt" else 0,
        )
        assert run(again) == 2
        assert capsys.readouterr().err == f"port {taken} is in use; choose another with {flag}\n"
        with pytest.raises(PortTakenError), LocalHub(again):
            pass


def test_connection_strings_name_localhost_only_for_127_0_0_1(certificates: Path) -> None:
    with LocalHub(HubOptions(certificates=certificates, https_port=0, mqtt_port=0)) as hub:
        assert hub.connection_string.startswith(f"HostName=localhost:{hub.https_port};")
        assert hub.create_device("one").startswith("HostName=localhost;DeviceId=one;")
        assert hub.device_connection_string("one").startswith("HostName=localhost;DeviceId=one;")
