"""Run the whole cloud side in memory on a virtual clock, with faults for tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.dispatch_queue.port import Batch
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.use_cases.advance import advance
from functions.use_cases.create import Creation, create
from functions.use_cases.dispatch import dispatch
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_hub import VirtualHub
from simulator.simulated_fleet.shares import Fault

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRMWARE = Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin")
PLENTY = quotas(Tier.S3, 10)


# Codes of a plan's warnings about FIRMWARE, and about devices with the firmware of the factory.
USUAL_WARNINGS = frozenset({"noSha256", "noManifest", "noWayBack", "alreadyRunning"})


def device(
    device_id: str = "a",
    *,
    stage: float = 10,
    online: bool = True,
    hangs: bool = False,
    **more: Any,
) -> VirtualDevice:
    """Make a device whose stages take `stage` seconds each."""
    fault = Fault.HANGING if hangs else more.pop("fault", Fault.NONE)
    seconds = (stage, stage, stage, stage)
    return VirtualDevice(device_id, fault=fault, stage_seconds=seconds, offline=not online, **more)


def devices(count: int, **more: Any) -> list[VirtualDevice]:
    return [device(f"d-{number:03}", **more) for number in range(count)]


class _RunningClock(VirtualClock):
    """A clock that moves on by 1 ms at every read, as real time does."""

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


class World(VirtualCloud):
    """A virtual cloud whose hub and devices a test may disturb.

    A `still` clock moves only when the test or a tick moves it.
    """

    def __init__(
        self, fleet: Iterable[VirtualDevice], limits: Quotas = PLENTY, *, still: bool = False
    ) -> None:
        clock = VirtualClock(NOON) if still else _RunningClock(NOON)
        self.hub = VirtualHub(fleet, clock)
        super().__init__(self.hub, clock, limits, seed=1)

    def has_started_each_once(self) -> bool:
        """Return whether each device has started exactly one update."""
        return all(len(found.started) == 1 for found in self.hub.devices.values())

    @property
    def now(self) -> datetime:
        return self.clock.now

    def request(self, *device_ids: str, **more: Any) -> NewRollout:
        ids = device_ids or tuple(self.hub.devices)
        known = {"firmware": FIRMWARE, "strategy": Strategy(), "body_hash": f"hash of {ids}"}
        return NewRollout(**{"device_ids": ids, **known, **more})

    def create(self, strategy: Strategy | None = None, key: str | None = None) -> Creation:
        return create(self.services, self.request(strategy=strategy or Strategy()), key)

    def pass_time(self, **length: float) -> None:
        self.clock.now += timedelta(**length)

    def advance(self) -> list[Batch]:
        """Run the timer once. Return its batches, taken out of the queue."""
        advance(self.services)
        return self.batches()

    def batches(self) -> list[Batch]:
        taken = []
        while (found := self.queue.due(self.now + timedelta(days=1))) is not None:
            taken.append(found[1])
        return taken

    def dispatch(self, *batches: Batch) -> None:
        for batch in batches:
            dispatch(self.services, batch)

    def ticks(self, count: int, seconds: float = 10) -> None:
        for _ in range(count):
            self.tick(timedelta(seconds=seconds))

    def until_over(self, rollout_id: str, ticks: int = 300) -> Rollout:
        """Run ticks until the rollout is over, at most `ticks`."""
        for _ in range(ticks):
            if self.rollout(rollout_id).is_over:
                break
            self.tick()
        return self.rollout(rollout_id)

    def update(self, rollout_id: str, device_id: str = "a") -> DeviceUpdate:
        return next(item for item in self.updates(rollout_id) if item.device_id == device_id)
