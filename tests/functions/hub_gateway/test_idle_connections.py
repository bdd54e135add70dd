"""A NAT that silently drops idle connections costs no device an attempt."""

import time
from collections.abc import Iterator

import pytest
from azure.iot.device import IoTHubDeviceClient

from functions import connections
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.sdk_client import HubTimeouts
from functions.rollouts.model.method_outcome import Lost, Responded
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address

DROPPED_AFTER = 0.6  # seconds; 240 in Azure
FRESH = 0.3  # 60 in the app


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"),
        address=free_address(),
        https_port=0,
        drop_idle_seconds=DROPPED_AFTER,
    )
    with LocalHub(options) as running:
        yield running


@pytest.fixture
def gateway(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> IotHub:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    monkeypatch.setattr(HubTimeouts, "method_call", (1.0, 1.0))  # a lost one ends after a second
    return open_iot_hub(hub.connection_string, None, HubTimeouts(connect=1, read=2))


def test_an_idle_connection_is_not_reused_for_a_method(
    gateway: IotHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.connected
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", FRESH)
    for _ in range(3):
        assert isinstance(gateway.invoke("online", "echo", {}), Responded)
        time.sleep(DROPPED_AFTER + 0.1)


def test_all_connections_of_a_batch_may_have_been_dropped(
    gateway: IotHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread has its own connections, and reads have others than methods."""
    assert device.connected
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", FRESH)
    names: dict[str, dict[str, str]] = {"online": {}, "ghost": {}}
    for _ in range(2):
        invoked = gateway.invoke_all("echo", names)
        assert isinstance(invoked.outcomes["online"], Responded)
        assert not any(isinstance(outcome, Lost) for outcome in invoked.outcomes.values())
        assert set(gateway.query_twins(["online"])) == {"online"}
        assert gateway.read_twins(["online", "ghost"])["ghost"] is None
        time.sleep(DROPPED_AFTER + 0.1)


def test_a_method_on_a_dropped_connection_would_be_lost(
    gateway: IotHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that the local hub drops connections: without the rule, the attempt is lost."""
    assert device.connected
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", 60.0)
    assert isinstance(gateway.invoke("online", "echo", {}), Responded)
    time.sleep(DROPPED_AFTER + 0.1)
    assert isinstance(gateway.invoke("online", "echo", {}), Lost)


def test_a_connection_in_use_is_not_dropped(
    gateway: IotHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.connected
    monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", 60.0)
    until = time.monotonic() + 2 * DROPPED_AFTER
    while time.monotonic() < until:
        assert isinstance(gateway.invoke("online", "echo", {}), Responded)
        time.sleep(DROPPED_AFTER / 4)
