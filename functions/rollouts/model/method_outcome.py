"""How a direct method ended, told apart by the one thing that matters: did it reach the device?"""

from dataclasses import dataclass

from functions.rollouts.model.device_update import MethodResponse


@dataclass(frozen=True, slots=True)
class Responded:
    """The device answered; its status may still be a refusal."""

    answer: MethodResponse


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    """The hub said that the device is not connected: the method did not reach it."""


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """The method certainly did not reach the device, and may go through later.

    `throttled` says that the hub refused it for its quota.
    """

    message: str
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came back; the device may or may not have run the method."""

    message: str


@dataclass(frozen=True, slots=True)
class HubRefused:
    """The hub will not pass this method on, now or later (unknown device, invalid request)."""

    message: str


type MethodOutcome = Responded | DeviceOffline | NotDelivered | Lost | HubRefused
