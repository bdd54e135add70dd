"""Stopping by a signal while all kinds of connections are open."""

import re
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub.mqtt.packets import ConnAck, Connect
from tests.simulator.hub.builders import token
from tests.simulator.hub.test_command import PROGRAM
from tests.simulator.hub.test_mqtt_connection import Line
from tests.simulator.hub.websocket_line import WebSocketLine

POLL = b"GET /_local/events?cursor=latest&waitSeconds=60 HTTP/1.1\r\nHost: hub\r\n\r\n"


@dataclass(frozen=True)
class Program:
    """A hub in a process of its own."""

    ca_file: Path
    https_port: int
    mqtt_port: int


def visit(hub: Program) -> list[Line]:
    """Open a connection of each kind."""
    for device_id in ("one", "two", "held"):
        register(hub, device_id)
    hole = {"faults": [{"action": "blackHole", "devices": "held"}]}
    local = f"https://localhost:{hub.https_port}/_local/faults"
    assert requests.put(local, json=hole, verify=str(hub.ca_file), timeout=10).ok
    silent, device, held, poll = (
        Line(hub, "localhost", ssl.TLSVersion.TLSv1_3, port=port)
        for port in (hub.mqtt_port, hub.mqtt_port, hub.mqtt_port, hub.https_port)
    )
    device.send(connect_of("one"))
    assert device.receive() == [ConnAck(0)]
    held.send(connect_of("held"))
    poll.socket.sendall(POLL)
    websocket = WebSocketLine(hub, "localhost")
    websocket.send(connect_of("two"))
    assert websocket.receive(1) == [ConnAck(0)]
    return [silent, device, held, poll, websocket.line]


def register(hub: Program, device_id: str) -> None:
    key = token("localhost", DEVELOPMENT_KEY, policy="iothubowner", expiry=time.time() + 60)
    response = requests.put(
        f"https://localhost:{hub.https_port}/devices/{device_id}",
        json={"deviceId": device_id},
        headers={"Authorization": key},
        verify=str(hub.ca_file),
        timeout=10,
    )
    assert response.status_code == 200


def connect_of(device_id: str) -> Connect:
    resource = f"localhost/devices/{device_id}"
    password = token(
        resource, DEVELOPMENT_KEY, policy="iothubowner", expiry=time.time() + 60
    ).encode()
    user_name = f"localhost/{device_id}/?api-version=2021-04-12"
    return Connect(client_id=device_id, user_name=user_name, password=password)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_every_connection_is_closed(certificates: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(certificates)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = ""
        while not ready.startswith("hub ready"):
            ready = process.stdout.readline()
            assert ready
        https_port, mqtt_port = map(int, re.findall(r":(\d+)", ready))
        lines = visit(Program(certificates / "ca.pem", https_port, mqtt_port))
        started = time.monotonic()
        process.send_signal(ending)
        _rest, errors = process.communicate(timeout=10)
        seconds = time.monotonic() - started
    for line in lines:
        while not line.ends():
            pass
        line.socket.close()
    assert (process.returncode, errors) == (0, "")
    assert seconds < 4
