"""How a direct method ended: it reached the device, it did not, or it may have."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResponse:
    """A device's response to the direct method."""

    status: int
    payload: Any = None  # any JSON value


@dataclass(frozen=True, slots=True)
class Responded:
    """The device responded; the response may still be a refusal."""

    response: MethodResponse


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    """The hub said that the device is not connected: the method did not reach it."""


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """The method certainly did not reach the device, and may go through later."""

    message: str
    throttled: bool = False  # the hub refused it because of its quota


@dataclass(frozen=True, slots=True)
class Lost:
    """No response came back; the device may or may not have run the method."""

    message: str


@dataclass(frozen=True, slots=True)
class HubRefused:
    """The hub will not pass this method on, now or later (unknown device, invalid request)."""

    message: str


type MethodOutcome = Responded | DeviceOffline | NotDelivered | Lost | HubRefused
