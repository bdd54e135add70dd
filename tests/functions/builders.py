"""Records with defaults, so that a test names only what it is about."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollouts.engine import Engine
from functions.rollouts.model import (
    DeviceTwin,
    DeviceUpdate,
    Firmware,
    Rollout,
    RolloutStatus,
    Strategy,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROLLOUT_ID = "98233500000000-0123456789ab"


def at(seconds: float) -> datetime:
    """A moment so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def make_rollout(
    *device_ids: str,
    strategy: Strategy | None = None,
    rollout_id: str = ROLLOUT_ID,
    labels: Mapping[str, str] | None = None,
) -> Rollout:
    return Rollout(
        id=rollout_id,
        status=RolloutStatus.RUNNING,
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw-2.4.0.bin"),
        device_ids=device_ids or ("thermostat-1",),
        strategy=strategy or Strategy(),
        labels=labels or {},
        created_at=NOON,
        started_at=NOON,
    )


def make_update(device_id: str = "thermostat-1", **values: Any) -> DeviceUpdate:
    known: dict[str, Any] = {"queued_at": NOON, "updated_at": NOON}
    return DeviceUpdate(device_id=device_id, **(known | values))


def make_engine(
    seconds: float = 0, strategy: Strategy | None = None, jitter: float = 1.0
) -> Engine:
    """An engine so many seconds after noon; with jitter 1 every wait has its full length."""
    return Engine(rollout=make_rollout(strategy=strategy), now=at(seconds), jitter=lambda: jitter)


def make_twin(
    *, device_id: str = "thermostat-1", connected: bool = True, **reported: tuple[Any, float]
) -> DeviceTwin:
    """A twin whose reported properties are given as (value, seconds after noon)."""
    return DeviceTwin(
        device_id=device_id,
        connected=connected,
        reported={name: value for name, (value, _) in reported.items()},
        reported_at={name: at(seconds) for name, (_, seconds) in reported.items()},
    )


def speaking_twin(
    status: str, seconds: float, *, attempt: int = 1, connected: bool = True, **about: Any
) -> DeviceTwin:
    """The twin of a device that tells which rollout its status is about."""
    update = {"rolloutId": ROLLOUT_ID, "attempt": attempt, **about}
    return make_twin(
        connected=connected,
        firmwareStatus=(status, seconds),
        firmwareUpdate=(update, seconds),
        firmwareVersion=("1.0.0", -1000),
    )
