"""The target of a rollout, and how far it has been resolved to devices."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TargetDevice:
    """A device that the rollout is meant for."""

    device_id: str
    stratum: str = ""  # the values that waves are spread over, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The devices that were asked for: a list of ids, or a condition."""

    condition: str | None = None  # None: a list


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResolution:
    """How far the target of a large rollout has been resolved and written.

    The target is stored in parts. Those of a list as it was requested come first; if waves are
    spread over strata, parts with the strata follow.
    """

    parts: int = 0  # parts stored
    asked_parts: int = 0  # of these, the list as it was requested; 0 for a condition
    devices: int = 0  # devices in all parts of the target
    cursor: str | None = None  # continues a condition's query; None: from the beginning
    looked_up: int = 0  # devices of the list whose strata are known
    gathered: bool = False  # the target is complete
    written: int = 0  # blocks stored, once the target is complete
