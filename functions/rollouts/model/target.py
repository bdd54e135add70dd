"""The target of a rollout, and how far it has been resolved to devices."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TargetDevice:
    """A device that a rollout is meant for, with its stratum."""

    device_id: str
    stratum: str = ""  # the device's values of `stratifyBy`, joined; empty: none are used


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A rollout's target as the caller requested it: a list of device ids, or a condition."""

    condition: str | None = None  # the WHERE part of an IoT Hub query; None: a list of ids
    joiners: bool = False  # devices that come to meet the condition later join the rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResolution:
    """How far the target of a large rollout has been resolved and written.

    The target is stored in parts. The parts of a requested list come first. If waves are spread
    over strata, parts with the same devices and their strata follow.
    """

    parts: int = 0  # number of parts stored
    listed_parts: int = 0  # parts of the requested list, without strata; 0 for a condition
    devices: int = 0  # number of devices in the target so far
    cursor: str | None = None  # continues a condition's query; None: from its first page
    queried_devices: int = 0  # number of listed devices whose strata have been queried
    gathered: bool = False  # whether the target is complete
    written: int = 0  # number of blocks stored; 0 until the target is complete
