"""Build records for the tests of the rehearsal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.rehearsal.virtual_fleet import device_ids
from tests.functions import builders
from tests.functions.builders import NOON, ROLLOUT_ID, at, make_update, make_wave


class ManualClock(VirtualClock):
    """Stands still at noon until a test moves it."""

    def __init__(self) -> None:
        super().__init__(NOON)

    def move_to(self, seconds: float) -> None:
        self.now = at(seconds)


def after(seconds: float) -> float:
    """Return the time `seconds` after noon, as seconds since 1970."""
    return at(seconds).timestamp()


def payload(attempt: int = 1, rollout_id: str = ROLLOUT_ID, version: str = "2.4.0") -> Any:
    uri = f"https://packages.example/fw-{version}.bin"
    return {"fwPackageUri": uri, "rolloutId": rollout_id, "attempt": attempt, "version": version}


def make_request(devices: int, **more: Any) -> NewRollout:
    """Request a rollout to a virtual fleet of `devices` devices."""
    known: dict[str, Any] = {
        "firmware": Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
        "strategy": Strategy(),
        "body_hash": "hash",
        "device_ids": tuple(device_ids(devices)),
    }
    return NewRollout(**(known | more))


def make_rollout(
    rollout_id: str = ROLLOUT_ID,
    status: RolloutStatus = RolloutStatus.RUNNING,
    events: Sequence[Event] = (),
    ended_at: datetime | None = None,
    counts: Counts | None = None,
) -> Rollout:
    """Make a rollout; with `counts`, all devices are in one wave."""
    waves = (make_wave(counts.total, counts=counts),) if counts else ()
    return builders.make_rollout(
        *waves,
        rollout_id=rollout_id,
        status=status,
        ended_at=ended_at,
        events=tuple(events),
        event_count=len(events),
    )


def make_block(number: int, *device_ids: str, state: DeviceState = DeviceState.QUEUED) -> Block:
    return Block(number, tuple(make_update(device_id, state=state) for device_id in device_ids))


def make_event(seconds: float, action: str = "paused", message: str | None = None) -> Event:
    text = f"{action} at {seconds}" if message is None else message
    return Event(at=at(seconds), action=action, by="api", message=text)


def statuses(item: VirtualDevice, *times: float) -> list[str]:
    """Return the firmware status of a device at each time, in seconds after NOON."""
    return [item.read_twin(after(seconds)).reported["firmwareStatus"] for seconds in times]
