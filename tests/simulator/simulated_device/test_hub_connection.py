"""Test how a device handles lost and refusing responses of its hub.

The SDK's client is replaced, because a real hub loses no responses on request.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from azure.iot.device import exceptions as sdk

from device_agent import hub_connection
from device_agent.credentials import Credentials
from device_agent.hub_connection import HubConnection
from device_agent.proxies import Proxies, read_proxy
from device_agent.stages import Report
from device_agent.update import FirmwareStatus

D1 = Credentials(connection_string="HostName=localhost;DeviceId=d1;SharedAccessKey=a2V5")
APPLYING = Report(
    status=FirmwareStatus.APPLYING, patch={"firmwareStatus": "applying"}, version="1.0.0"
)


class ScriptedClient:
    """Of the SDK's client, what a device calls; `outcomes` are those of its twin patches."""

    def __init__(self, *outcomes: Exception | str | None) -> None:
        self.outcomes = list(outcomes)
        self.patches: list[dict[str, Any]] = []
        self.refused_connects = 0
        self.connected = False
        self.was_shut_down = False

    async def connect(self) -> None:
        if self.refused_connects:
            self.refused_connects -= 1
            raise sdk.CredentialError("refused")
        self.connected = True

    async def patch_twin_reported_properties(self, patch: dict[str, Any]) -> None:
        self.patches.append(patch)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == "lost":
            await asyncio.Event().wait()
        if outcome == "dropped":
            self.connected = False
            raise sdk.OperationCancelled

    async def shutdown(self) -> None:
        self.was_shut_down = True


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_connection, "FIRST_PAUSE_SECONDS", 0.001)


def report_through(monkeypatch: pytest.MonkeyPatch, client: ScriptedClient) -> None:
    """Send one report, with a time-out of 50 ms for each response."""

    class Factory:
        @staticmethod
        def create_from_connection_string(_string: str, **_options: Any) -> ScriptedClient:
            return client

    monkeypatch.setattr(hub_connection, "IoTHubDeviceClient", Factory)

    async def report() -> None:
        connection = HubConnection(D1, response_timeout_seconds=0.05)
        try:
            await connection.send_report(APPLYING)
        finally:
            await connection.close()

    run(report())


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))


def test_a_report_whose_response_is_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ScriptedClient("lost", None)

    report_through(monkeypatch, client)

    assert client.patches == [{"firmwareStatus": "applying"}] * 2
    assert client.was_shut_down


@pytest.mark.parametrize(
    "error", [sdk.ClientError("Unexpected failure"), sdk.OperationTimeout("too late")], ids=str
)
def test_a_refused_report_is_sent_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    client = ScriptedClient(error, error, None)

    report_through(monkeypatch, client)

    assert len(client.patches) == 3


def test_a_report_cut_off_by_a_lost_connection_is_sent_again_once_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ScriptedClient("dropped", None)

    report_through(monkeypatch, client)

    assert client.connected
    assert len(client.patches) == 2


def test_a_refused_key_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ScriptedClient(None)
    client.refused_connects = 3

    report_through(monkeypatch, client)

    assert len(client.patches) == 1


def test_an_abandoned_report_leaves_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ScriptedClient(*["lost"] * 3, None)

    report_through(monkeypatch, client)

    assert len(client.patches) == 4


def test_pauses_grow_to_their_limit_and_never_fall_below_half() -> None:
    pauses = [pause for _, pause in zip(range(30), hub_connection._backoff_seconds(), strict=False)]  # noqa: SLF001

    assert pauses[0] <= hub_connection.FIRST_PAUSE_SECONDS
    assert max(pauses) <= hub_connection.MAX_PAUSE_SECONDS
    assert min(pauses[-5:]) >= hub_connection.MAX_PAUSE_SECONDS / 2


def test_an_explicit_proxy_replaces_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pass MQTT over WebSocket on through a proxy, because it forwards no other port."""
    options: list[dict[str, Any]] = []

    class Factory:
        @staticmethod
        def create_from_connection_string(_string: str, **given: Any) -> ScriptedClient:
            options.append(given)
            return ScriptedClient()

    monkeypatch.setattr(hub_connection, "IoTHubDeviceClient", Factory)
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:hush@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "")

    async def connect() -> None:
        HubConnection(D1)
        HubConnection(D1, proxies=Proxies())
        HubConnection(D1, proxies=Proxies(https=read_proxy("other.example:8080")))

    run(connect())
    environments, direct, explicit = options
    proxy = environments["proxy_options"]
    assert environments["websockets"] is True
    assert (proxy.proxy_type, proxy.proxy_address, proxy.proxy_port) == (
        "HTTP",
        "proxy.example",
        3128,
    )
    assert (proxy.proxy_username, proxy.proxy_password) == ("ada", "hush")
    assert not direct.keys() & {"websockets", "proxy_options"}
    assert explicit["proxy_options"].proxy_address == "other.example"
