"""The failure gate as it is shown."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """How far the gate is from its decisions on one wave, or on one stratum of all waves."""

    wave: str | None  # its name; None: a stratum, which is judged over all waves
    stratum: str | None  # its name; None: all devices of the wave
    failed: int
    healthy: int
    in_flight: int
    ratio: float  # of the first devices that speak most against the firmware
    threshold: float  # at this ratio or above the gate is breached
    failures_to_breach: (
        int  # the number of failures that breach it, if the next devices to end all fail
    )
    healthy_to_acceptable: int  # the number of further healthy devices that show an acceptable rate
    counted_since: datetime | None  # when earlier failures were acknowledged; None: they were not
    breached: bool
    breached_at_failure: int | None  # the failure that breached it, from 1; None: none did
