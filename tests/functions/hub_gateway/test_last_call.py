"""Test what the gateway records of the hub, and that the service policy is enough for all calls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.iot.device import IoTHubDeviceClient

from functions.errors import HubRefusedError, HubUnavailableError
from functions.hub_gateway.iot_hub import open_iot_hub
from functions.hub_gateway.port import ConditionError
from functions.last_calls import LastCall, PartState
from functions.rollouts.model.method_outcome import NotDelivered, Responded
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.model.access import policy_key
from simulator.hub.model.faults import Action, Fault, FaultPlan
from simulator.hub.model.metering import Operation
from tests.ports import free_ports


def with_policy(hub: LocalHub, policy: str) -> str:
    """Return the hub's connection string with a built-in policy."""
    parts = dict(part.split("=", 1) for part in hub.connection_string.split(";"))
    key = policy_key(parts["SharedAccessKey"], policy)
    return f"HostName={parts['HostName']};SharedAccessKeyName={policy};SharedAccessKey={key}"


@contextmanager
def failing_hub(
    certificates: Path, status: int, retry_after_seconds: int | None = None
) -> Iterator[LocalHub]:
    fault = Fault(
        action=Action.ERROR,
        operations=frozenset(Operation),
        status=status,
        retry_after_seconds=retry_after_seconds,
    )
    options = HubOptions(
        certificates=certificates,
        address=free_address(),
        https_port=0,
        faults=FaultPlan(faults=(fault,)),
    )
    with LocalHub(options) as running:
        yield running


def test_the_service_policy_is_enough(
    hub: LocalHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check every call that the app makes: none needs a permission on the registry."""
    assert device.connected
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    gateway = open_iot_hub(with_policy(hub, "service"), None)
    gateway.ping()
    assert gateway.read_twin("online")
    assert set(gateway.read_twins(["online", "ghost"])) == {"online", "ghost"}
    assert set(gateway.query_twins(["online"])) == {"online"}
    assert gateway.query_connections(["online"]) == {"online": True}
    assert gateway.query_matching("deviceId = 'online'", (), None).devices
    assert gateway.query_devices(["online"], ())
    assert gateway.count_matching("deviceId = 'online'") == 1
    assert gateway.count_versions_matching("deviceId = 'online'")
    assert gateway.count_versions_of(["online"])
    outcomes = gateway.invoke_all("echo", {"online": {}}).outcomes
    assert isinstance(outcomes["online"], Responded)


def test_a_policy_without_service_connect_does_not_respond(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    call = LastCall()
    gateway = open_iot_hub(with_policy(hub, "registryRead"), None, last_call=call)
    with pytest.raises(HubUnavailableError, match="401"):
        gateway.ping()
    assert call.state() is PartState.FAILING


def test_every_kind_of_call_is_recorded(
    hub: LocalHub, device: IoTHubDeviceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.connected
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
    call = LastCall()
    gateway = open_iot_hub(hub.connection_string, None, last_call=call)
    for make in (
        gateway.ping,
        lambda: gateway.read_twins(["online"]),
        lambda: gateway.query_twins(["online"]),
        lambda: gateway.count_matching("deviceId = 'online'"),
        lambda: gateway.invoke_all("echo", {"online": {}}),
        lambda: gateway.invoke_all("echo", {"ghost": {}}),  # 404001: the hub responds
    ):
        call.record(responded=False)
        make()
        assert call.state() is PartState.OK
    call.record(responded=False)
    with pytest.raises(ConditionError):
        gateway.count_matching("not a condition")
    assert call.state() is PartState.OK


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (401, PartState.FAILING),
        (403, PartState.FAILING),
        (429, PartState.OK),  # a hub that throttles responds
        (500, PartState.FAILING),
        (503, PartState.FAILING),
    ],
)
def test_a_hub_that_fails_or_refuses_is_recorded(
    tmp_path: Path, status: int, state: PartState, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = LastCall()
    with failing_hub(tmp_path, status) as hub:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
        gateway = open_iot_hub(hub.connection_string, None, last_call=call)
        with pytest.raises(HubUnavailableError) as caught:
            gateway.read_twin("a")
        assert isinstance(caught.value, HubRefusedError) is (status in {401, 403})
        assert call.state() is state
        call.record(responded=state is not PartState.OK)
        (outcome,) = gateway.invoke_all("echo", {"a": {}}).outcomes.values()
        refused = isinstance(outcome, NotDelivered) and outcome.access_refused
        assert refused is (status in {401, 403})
        assert call.state() is state


@pytest.mark.parametrize("status", [429, 503])
def test_a_read_does_not_wait_for_a_retry_after_of_the_hub(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing_hub(tmp_path, status, retry_after_seconds=6) as hub:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
        gateway = open_iot_hub(hub.connection_string, None)
        began = time.monotonic()
        with pytest.raises(HubUnavailableError):
            gateway.read_twin("a")
        assert time.monotonic() - began < 5


def test_a_hub_that_is_not_reached_is_recorded() -> None:
    (port,) = free_ports(1)
    key = "SharedAccessKeyName=service;SharedAccessKey=YQ=="
    call = LastCall()
    gateway = open_iot_hub(f"HostName=localhost:{port};{key}", None, last_call=call)
    outcomes = gateway.invoke_all("echo", {"a": {}}).outcomes
    assert isinstance(outcomes["a"], NotDelivered)
    assert call.state() is PartState.FAILING
