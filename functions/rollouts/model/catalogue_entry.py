"""What the catalogue keeps of one firmware version."""

from dataclasses import dataclass
from datetime import datetime

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A firmware under its version."""

    firmware: Firmware
    notes: str = ""  # free text of the caller
    registered: bool = False  # a caller registered the firmware; False: rollouts named it
    used: bool = True  # a rollout has named the version, so that devices may run it
    revision: int = 1  # grows with every change
    created_at: datetime | None = None  # None: an earlier release created it
    created_by: Identity | None = None
    changed_at: datetime | None = None
    changed_by: Identity | None = None
