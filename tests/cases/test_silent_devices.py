"""Check that devices that do not respond leave threads to other rollouts.

All batches of a process share METHOD_THREADS (16). Devices that are connected and silent keep a
thread for HubTimeouts.method_response (30 s). Today a method that gets no thread within
HubTimeouts.method_start (30 s) is put off, so two batches of silent devices of one rollout keep a
healthy one from starting any device. Here a second stands for thirty.
"""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from functions.hub_gateway.iot_hub import HubTimeouts, IotHub
from functions.rollouts.model.method_outcome import NotDelivered, Responded
from tests.cases.steps import require


class _Devices:
    def invoke_method(self, device_id: str, _request: Any, *, timeout: Any) -> Any:  # noqa: ARG002
        time.sleep(1.0 if device_id.startswith("silent") else 0.003)
        return SimpleNamespace(status=200, payload={})


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="D3: rollouts get fair shares of the threads"
)
def test_a_healthy_rollout_starts_beside_a_silent_one() -> None:
    registry = SimpleNamespace(protocol=SimpleNamespace(devices=_Devices()))
    hub = IotHub(registry, HubTimeouts(method_start=1))
    silent: dict[str, dict[str, Any]] = {f"silent-{n}": {} for n in range(100)}
    batches = [
        threading.Thread(target=hub.invoke_all, args=("firmwareUpdate", silent)) for _ in range(2)
    ]
    for batch in batches:
        batch.start()
        time.sleep(0.3)
    called = hub.invoke_all("firmwareUpdate", {f"well-{n}": {} for n in range(20)})
    for batch in batches:
        batch.join()
    sent = sum(isinstance(item, Responded) for item in called.outcomes.values())
    put_off = sum(isinstance(item, NotDelivered) for item in called.outcomes.values())
    require(sent + put_off == 20, "each healthy device was invoked or put off")
    assert sent == 20, f"{sent} healthy devices were invoked, {put_off} put off"
