"""Check that devices that do not answer leave threads to other rollouts.

All batches of a process share METHOD_THREADS (16). Devices that are connected and silent keep a
thread for METHOD_RESPONSE_SECONDS (30 s). Today a method that gets no thread within
SENT_WITHIN_SECONDS (30 s) is put off, so two batches of silent devices of one rollout keep a
healthy one from starting any device. Here a second stands for thirty.
"""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from functions.hub_gateway import iot_hub
from functions.hub_gateway.iot_hub import IotHub
from functions.rollouts.model.method_outcome import NotDelivered, Responded
from tests.cases.steps import require


class _Devices:
    def invoke_method(self, device_id: str, _request: Any, *, timeout: Any) -> Any:  # noqa: ARG002
        time.sleep(1.0 if device_id.startswith("silent") else 0.003)
        return SimpleNamespace(status=200, payload={})


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="D3: rollouts get fair shares of the threads"
)
def test_a_healthy_rollout_starts_beside_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iot_hub, "SENT_WITHIN_SECONDS", 1)
    hub = IotHub(SimpleNamespace(protocol=SimpleNamespace(devices=_Devices())))
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
