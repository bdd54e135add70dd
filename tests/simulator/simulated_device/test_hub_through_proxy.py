"""Test that a device reaches its hub through a proxy, with MQTT over WebSocket."""

from pathlib import Path

import pytest

from device_agent.credentials import Credentials
from device_agent.proxies import Proxies, Proxy
from simulator.hub import LocalHub
from simulator.simulated_device.device_thread import DeviceThread
from simulator.simulated_device.local_proxies import read_proxies
from tests.device_agent.forward_proxy import forward_proxy
from tests.simulator.simulated_device.fleet_owner import FleetOwner
from tests.simulator.simulated_device.package_server import package_server
from tests.simulator.simulated_device.scene import PACKAGE, STARTED, Scene

SECRET = "hush"
DEVICE_ID = "behind-a-proxy"
BASIC = "Basic YWRhOmh1c2g="  # ada, hush


def test_a_device_behind_a_proxy_is_updated(
    devices: DeviceThread,
    hub: LocalHub,
    owner: FleetOwner,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    text = hub.create_device(DEVICE_ID)
    credentials = Credentials(connection_string=text, ca=hub.ca_file.read_text())
    host = credentials.identity.dialled_host
    with (
        package_server(PACKAGE) as server,
        forward_proxy({f"{host}:443": (host, hub.https_port)}, BASIC) as proxy,
    ):
        found = Proxy(host="127.0.0.1", port=proxy.port, user="ada", password=SECRET)
        options = {
            "credentials": credentials,
            "directory": tmp_path / "device",
            "proxies": Proxies(https=found),
        }
        scene = Scene(server, owner, devices, DEVICE_ID, options)
        scene.start()
        assert scene.invoke() == (200, STARTED)
        assert scene.wait_for("completed")["firmwareVersion"] == "2.4.0"
        assert len(proxy.heads) >= 2  # before and after the restart
        devices.stop(DEVICE_ID)
    assert SECRET not in caplog.text


def test_a_simulated_device_reaches_the_local_cloud_without_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    proxies = read_proxies()
    assert proxies.find("https", "localhost", 443) is None
    assert proxies.find("https", "127.0.0.7", 443) is None
    assert proxies.find("https", "hub.example", 443) is not None
