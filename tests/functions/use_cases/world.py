"""The whole cloud side in memory on a virtual clock: ticks, a queue that may fail, crashes."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from functions.rollouts.model import DeviceUpdate, Firmware, Rollout, Strategy
from functions.use_cases.advance import advance
from functions.use_cases.create import Creation, NewRollout, create
from functions.use_cases.dispatch import Batch, dispatch
from functions.use_cases.services import Services
from tests.functions.builders import NOON
from tests.functions.memory_store import MemoryStore
from tests.functions.virtual_hub import VirtualDevice, VirtualHub


class World:
    """`now` moves by `tick`, and a little at every look at the clock, as real time does.

    A message of the queue is delivered at the end of its tick.
    """

    def __init__(self, devices: Mapping[str, VirtualDevice]) -> None:
        self.now: datetime = NOON
        self.store = MemoryStore()
        self.hub = VirtualHub(devices, self.clock)
        self.services = Services(
            hub=self.hub, store=self.store, clock=self.clock, jitter=lambda: 1.0
        )
        self.queue: list[Batch] = []

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def request(self, strategy: Strategy | None = None, *device_ids: str) -> NewRollout:
        return NewRollout(
            firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
            device_ids=device_ids or tuple(self.hub.devices),
            strategy=strategy or Strategy(),
            labels={},
            body_hash=f"hash of {device_ids}",
        )

    def create(self, strategy: Strategy | None = None, key: str | None = None) -> Creation:
        return create(self.services, self.request(strategy), key)

    def tick(self, seconds: float = 10, *, deliver: bool = True) -> None:
        self.now += timedelta(seconds=seconds)
        self.queue += advance(self.services)
        if deliver:
            while self.queue:
                dispatch(self.services, self.queue.pop(0))

    def run(self, rollout_id: str, ticks: int = 200) -> Rollout:
        """Tick until the rollout has ended."""
        for _ in range(ticks):
            if self.rollout(rollout_id).status.ended:
                break
            self.tick()
        return self.rollout(rollout_id)

    def rollout(self, rollout_id: str) -> Rollout:
        stored = self.store.rollout(rollout_id)
        assert stored is not None
        return stored.record

    def update(self, rollout_id: str, device_id: str) -> DeviceUpdate:
        stored = self.store.update(rollout_id, device_id)
        assert stored is not None
        return stored.record
