"""The whole demo: every process is real, on an address of its own."""

import re
import signal
import socket
from pathlib import Path

import pytest

from simulator.cloud import ports
from simulator.cloud.errors import PortTakenError
from simulator.cloud.options import CloudOptions
from tests.simulator.cloud.conftest import Start
from tests.waiting import eventually

SECONDS = 90

pytestmark = pytest.mark.usefixtures("address")


def all_ports_are_free(address: str) -> bool:
    try:
        ports.check(CloudOptions(address=address))
    except PortTakenError:
        return False
    return True


def test_a_demo_ends_with_completed_devices_and_everything_stopped(
    start: Start, address: str
) -> None:
    process = start("demo", "--devices", "2", "--stage-seconds", "0.5")

    output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, output
    for device_id in ("thermostat-1", "thermostat-2"):
        assert f"{device_id} responded 200" in output
        assert f"{device_id}: completed" in output
    assert '"firmwareStatus": "completed"' in output
    assert "table FleetRollouts" in output
    assert "rollout-" in output
    assert "history-" in output
    assert "completed: 2 of 2 thermostats run 2.4.0" in output
    assert "fw-2.4.0.bin?***" in output
    assert "sig=" not in output
    assert all_ports_are_free(address)


def test_a_bad_firmware_is_stopped_and_taken_back(
    start: Start, address: str, tmp_path: Path
) -> None:
    process = start("demo", "--story", "bad", "--devices", "15", "--stage-seconds", "0.4")

    output, _ = process.communicate(timeout=3 * SECONDS)

    assert process.returncode == 0, output
    assert re.search(r"(paused|failed) by rollout", output)
    assert re.search(r"\d failed, \d+ completed,\s+and \d+ were never sent 2.5.0", output)
    assert "the temperature sensor does not respond" in output
    assert "rolledBack" in output
    assert "15 of 15 thermostats run 2.4.0" in output
    assert (tmp_path / "rollout-2.5.0.jsonl").stat().st_size > 1_000
    assert all_ports_are_free(address)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_nothing_running(
    start: Start, address: str, number: signal.Signals
) -> None:
    process = start("demo", "--devices", "1", "--stage-seconds", "60")
    assert process.stdout is not None
    for line in process.stdout:
        if "thermostat-1: " in line:
            break

    process.send_signal(number)
    process.communicate(timeout=SECONDS)

    expected = -signal.SIGKILL if number is signal.SIGKILL else 130
    assert process.returncode == expected
    eventually(lambda: all_ports_are_free(address), what="free ports")


def test_a_demo_interrupted_while_it_starts_leaves_nothing_running(
    start: Start, address: str
) -> None:
    process = start("demo")
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    eventually(lambda: all_ports_are_free(address), what="free ports")


def test_a_taken_port_ends_the_demo_before_anything_starts(start: Start, address: str) -> None:
    with socket.create_server((address, 7071)):
        process = start("demo")
        output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 2
    assert "7071" in output
    assert "FLEET_HOST_PORT" in output


def test_a_port_that_devices_do_not_connect_to_is_refused(start: Start) -> None:
    process = start("demo", "--hub-mqtt-port", "18883")

    output, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 1
    assert "8883" in output
