"""Records with defaults for the rehearsal's tests, and a clock that only they move."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollouts.device_update import DeviceState, DeviceUpdate
from functions.rollouts.rollout import (
    Block,
    Counts,
    Event,
    Firmware,
    Rollout,
    RolloutStatus,
    Target,
    Wave,
)
from functions.rollouts.strategy import Strategy

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROLLOUT_ID = "98233500000000-0123456789ab"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move_to(self, seconds: float) -> None:
        self.now = at(seconds)


def at(seconds: float) -> datetime:
    """A moment so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def after(seconds: float) -> float:
    """The same as seconds since 1970."""
    return at(seconds).timestamp()


def payload(attempt: int = 1, rollout_id: str = ROLLOUT_ID, version: str = "2.4.0") -> Any:
    uri = f"https://packages.example/fw-{version}.bin"
    return {"fwPackageUri": uri, "rolloutId": rollout_id, "attempt": attempt, "version": version}


def make_rollout(
    rollout_id: str = ROLLOUT_ID,
    status: RolloutStatus = RolloutStatus.RUNNING,
    events: Sequence[Event] = (),
    ended_at: datetime | None = None,
    counts: Counts | None = None,
) -> Rollout:
    """With `counts`, its devices are all in one wave."""
    wave = Wave(name="all", first=0, size=counts.total, counts=counts) if counts else None
    return Rollout(
        id=rollout_id,
        status=status,
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
        target=Target(),
        strategy=Strategy(),
        labels={},
        created_at=NOON,
        ended_at=ended_at,
        events=tuple(events),
        event_count=len(events),
        waves=(wave,) if wave else (),
    )


def make_block(number: int, *device_ids: str, state: DeviceState = DeviceState.QUEUED) -> Block:
    updates = (
        DeviceUpdate(device_id=device_id, wave=0, queued_at=NOON, updated_at=NOON, state=state)
        for device_id in device_ids
    )
    return Block(number, tuple(updates))


def make_event(seconds: float, action: str = "paused", message: str | None = None) -> Event:
    said = f"{action} at {seconds}" if message is None else message
    return Event(at=at(seconds), action=action, by="api", message=said)
