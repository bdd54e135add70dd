"""Test that slow calls leave threads to others."""

import threading
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from functions.hub_gateway.fair_threads import FairThreads
from functions.hub_gateway.iot_hub import IotHub
from functions.hub_gateway.sdk_client import HubTimeouts
from functions.rollouts.model.method_outcome import Responded


class _Devices:
    def invoke_method(self, device_id: str, _request: Any, *, timeout: Any) -> Any:  # noqa: ARG002
        time.sleep(1.0 if device_id.startswith("silent") else 0.003)
        return SimpleNamespace(status=200, payload={})


class _Gate:
    """Calls that wait until they are released, and how many of them began."""

    def __init__(self) -> None:
        self.begun = 0
        self._open = threading.Event()
        self._lock = threading.Lock()

    def call(self) -> None:
        with self._lock:
            self.begun += 1
        assert self._open.wait(20)

    def release(self) -> None:
        self._open.set()

    def settle(self) -> int:
        """Wait until no more calls begin. Return how many began."""
        before = -1
        while before != self.begun:
            before = self.begun
            time.sleep(0.1)
        return before


def _start(threads: FairThreads, gate: _Gate, calls: int, share: str) -> threading.Thread:
    thread = threading.Thread(target=threads.run_all, args=([gate.call] * calls, share))
    thread.start()
    return thread


@pytest.mark.parametrize("share", [None, "rollout-1"])
def test_a_healthy_rollout_starts_beside_a_silent_one(share: str | None) -> None:
    """Two batches of silent devices of one rollout, or of two, hold threads for a second."""
    registry: Any = SimpleNamespace(protocol=SimpleNamespace(devices=_Devices()))
    hub = IotHub(registry, HubTimeouts(method_start=1))
    silent: Mapping[str, Mapping[str, Any]] = {f"silent-{n}": {} for n in range(60)}
    arguments = ("firmwareUpdate", silent, lambda: True, share)
    batches = [threading.Thread(target=hub.invoke_all, args=arguments) for _ in range(2)]
    for batch in batches:
        batch.start()
    time.sleep(0.3)
    began = time.monotonic()
    called = hub.invoke_all("firmwareUpdate", {f"well-{n}": {} for n in range(20)})
    assert time.monotonic() - began < 0.9, "the healthy devices waited for the silent ones"
    for batch in batches:
        batch.join()
    assert sum(isinstance(item, Responded) for item in called.outcomes.values()) == 20


def test_one_share_takes_at_most_half_of_the_threads() -> None:
    threads, gate = FairThreads(8, "test"), _Gate()
    thread = _start(threads, gate, 20, "a")
    assert gate.settle() == 4
    gate.release()
    thread.join()
    assert gate.begun == 20


def test_batches_of_one_share_take_no_more_than_one_batch() -> None:
    threads, gate = FairThreads(8, "test"), _Gate()
    running = [_start(threads, gate, 20, "a") for _ in range(3)]
    assert gate.settle() == 4
    other = _Gate()
    running.append(_start(threads, other, 20, "b"))
    assert other.settle() == 2
    gate.release()
    other.release()
    for thread in running:
        thread.join()
    assert (gate.begun, other.begun) == (60, 20)


def test_calls_of_many_shares_all_run() -> None:
    threads = FairThreads(3, "test")
    done: list[int] = []
    running = [
        threading.Thread(target=threads.run_all, args=([lambda: done.append(1)] * 50, share))
        for share in range(12)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(20)
    assert len(done) == 600


def test_an_error_in_a_call_is_raised_and_leaves_the_threads_to_others() -> None:
    registry: Any = SimpleNamespace(protocol=SimpleNamespace(devices=_Devices()))
    hub = IotHub(registry)

    def fail() -> bool:
        raise ZeroDivisionError

    for _ in range(30):
        with pytest.raises(ZeroDivisionError):
            hub.invoke_all("firmwareUpdate", {"a": {}, "b": {}}, fail)
    assert len(hub.invoke_all("firmwareUpdate", {"a": {}, "b": {}}).outcomes) == 2


def test_a_share_without_calls_is_not_kept() -> None:
    threads = FairThreads(2, "test")
    threads.run_all([], "rollout-1")
    assert not threads._waiting  # noqa: SLF001 - nothing else shows it
