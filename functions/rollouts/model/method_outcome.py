"""How a direct method ended: it reached the device, it did not, or it may have."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResponse:
    """A device's response to the direct method."""

    status: int
    payload: Any = None  # any JSON value

    @property
    def accepts(self) -> bool:
        """Return whether the device accepts what was requested: 2xx, as in HTTP."""
        return 200 <= self.status < 300  # noqa: PLR2004


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
    throttled: bool = False  # the hub refused it because of its rate limit
    day_used_up: bool = False  # the hub refused it because its day's messages are used up
    access_refused: bool = False  # the hub refuses this app, whatever the device is


@dataclass(frozen=True, slots=True)
class Lost:
    """No response came back; the device may or may not have run the method."""

    message: str
    hub_failed: bool = False  # the failure is the hub's own, and says nothing of the device


@dataclass(frozen=True, slots=True)
class DeviceUnknown:
    """The hub said that it does not know the device, or that the device is disabled.

    The hub also says so now and then of an enabled device, and may have called it
    (azure-iot-sdk-csharp, issue 431). Only a twin tells.
    """


@dataclass(frozen=True, slots=True)
class HubRefused:
    """The hub will not pass this method on, now or later: the request is invalid."""

    message: str


type MethodOutcome = Responded | DeviceOffline | DeviceUnknown | NotDelivered | Lost | HubRefused
