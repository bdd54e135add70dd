"""Test through the real SDK that the gateway counts as the local hub bills, and stops at 403002."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub.models import Twin, TwinProperties
from requests import Request, Response

from functions.errors import DailyQuotaError
from functions.hub_gateway.iot_hub import IotHub, open_iot_hub
from functions.hub_gateway.metering import Meter
from functions.rollouts.model.quotas import Tier, quotas
from simulator.hub import HubOptions, LocalHub
from simulator.hub.loopback import free_address
from simulator.hub.model.quotas import Tier as HubTier
from tests.simulator.hub.local_api import LocalApi

LARGE_TAGS = {f"t{n}": "x" * 500 for n in range(15)}


@pytest.mark.parametrize("tier", ["S1", "F1"])
def test_what_is_counted_equals_what_the_hub_bills(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    options = HubOptions(
        certificates=tmp_path_factory.mktemp("certificates"),
        address=free_address(),
        https_port=0,
        tier=HubTier(tier),
    )
    with LocalHub(options) as hub:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(hub.ca_file))
        gateway = open_iot_hub(hub.connection_string, None, limits=quotas(Tier(tier), 1))
        for name in ("large", "away"):
            hub.create_device(name)
        patch = Twin(tags=LARGE_TAGS, properties=TwinProperties(desired={"a": "b" * 500}))
        gateway._registry.update_twin("large", patch)  # noqa: SLF001 - the gateway writes no twins
        gateway.take_usage()
        before = _metrics(hub)["messages"]
        assert gateway.query_twins(["large", "away"]).keys() == {"large", "away"}
        projected = _metrics(hub)["messages"] - before
        assert gateway.read_twin("large") is not None
        gateway.invoke_all("firmwareUpdate", {"away": {"manifest": "m" * 4200}})
        usage = gateway.take_usage()
        assert usage.messages == _metrics(hub)["messages"] - before
        assert projected <= (2 if tier == "F1" else 1)
        assert usage.twin_messages >= (16 if tier == "F1" else 2)
        assert gateway.take_usage().messages == 0


def test_after_403002_nothing_is_sent_until_midnight(
    gateway: IotHub, hub: LocalHub, device: IoTHubDeviceClient
) -> None:
    del device
    now = [datetime(2026, 11, 27, 20, 0, tzinfo=UTC)]
    meter = Meter(quotas(Tier.S1, 1), lambda: now[0])
    gateway = IotHub(gateway._registry, meter=meter)  # noqa: SLF001 - with a clock of its own
    meter.record_refusal()  # as after the hub's first 403002
    before = _metrics(hub)["operations"]
    invoked = gateway.invoke_all("echo", {"online": {}})
    assert not invoked.outcomes
    with pytest.raises(DailyQuotaError, match="2026-11-28T00:00:00Z"):
        gateway.read_twins(["online"])
    with pytest.raises(DailyQuotaError):
        gateway.query_twins(["online"])
    with pytest.raises(DailyQuotaError):
        gateway.count_matching("status = 'enabled'")
    assert _metrics(hub)["operations"] == before
    now[0] = datetime(2026, 11, 28, 0, 0, 1, tzinfo=UTC)
    assert gateway.read_twin("online") is not None
    assert gateway.invoke_all("echo", {"online": {}}).outcomes


def _metrics(hub: LocalHub) -> dict[str, Any]:
    """Read the hub's own counters."""
    address = re.search(r"HostName=([^:;]+)", hub.connection_string)
    assert address is not None
    api = LocalApi(hub, address[1])
    try:
        metrics: dict[str, Any] = api.get("metrics")
        return metrics
    finally:
        api.close()


def test_each_call_that_the_hub_refuses_with_429_is_reported() -> None:
    counted: list[None] = []
    meter = Meter(quotas(Tier.S1, 1), on_throttled=lambda: counted.append(None))
    for path in ("twins/a/methods", "twins/a", "devices/query"):
        for status in (200, 429):
            response = Response()
            response.status_code, response._content = status, b""  # noqa: SLF001 - its body
            response.request = Request("POST", f"https://hub.example/{path}").prepare()
            meter.count_response(response)
    assert len(counted) == 3
