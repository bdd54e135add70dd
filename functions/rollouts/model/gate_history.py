"""How the ratios that the failure gate judges have moved."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStep:
    """The ratio of one wave, or of one stratum over all waves, after it has changed."""

    at: datetime
    wave: int | None  # its number; None: a stratum
    stratum: int | None  # its index in the rollout's strata; None: a wave
    ratio: float  # of the first devices that speak most against the firmware
    failed: int | None = None  # failures that count; None: written by an earlier release
    threshold: float | None = None  # the stop line then; None: written by an earlier release
