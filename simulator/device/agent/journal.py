"""What a device remembers of its updates: one small file, replaced as a whole.

    downloading -> installing -> switching -> confirmed -> ended
         |             |             |
         +-------------+-------------+----> failed ----> ended

A phase is written down before its work begins, so whoever finds it does that work again. `told` is
the last status that the hub has acknowledged: what a phase owes the hub is said until it is heard.
"""

import json
import logging
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from simulator.device.agent.offer import Image, Offer
from simulator.device.agent.ports import Storage
from simulator.device.update import FirmwareStatus, Update, UpdateError

logger = logging.getLogger(__name__)

_FILE = "journal.json"
_ROLLOUTS_REMEMBERED = 32


class Phase(StrEnum):
    """What an update is at."""

    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SWITCHING = "switching"
    CONFIRMED = "confirmed"
    FAILED = "failed"


STATUS = {
    Phase.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    Phase.INSTALLING: FirmwareStatus.APPLYING,
    Phase.SWITCHING: FirmwareStatus.APPLYING,
    Phase.CONFIRMED: FirmwareStatus.COMPLETED,
    Phase.FAILED: FirmwareStatus.FAILED,
}
"""What the hub is to be told in each phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The update under way."""

    offer: Offer
    phase: Phase = Phase.DOWNLOADING
    told: FirmwareStatus = FirmwareStatus.STAND_BY
    image: Image | None = None
    """What was downloaded and verified; known from `installing` on."""
    old_slot: str | None = None
    """The slot that ran before the switch; known from `switching` on."""
    error: UpdateError | None = None

    @property
    def owes(self) -> FirmwareStatus | None:
        """What the hub is still to be told."""
        status = STATUS[self.phase]
        return None if self.told is status else status


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """All that outlives a restart."""

    job: Job | None = None
    attempts: dict[str, int] = field(default_factory=dict)
    """The latest attempt of the rollouts heard of last, oldest first."""
    highest_sequence: int = 0
    """Of the signed manifests whose firmware was confirmed here."""


def read(storage: Storage) -> Journal:
    """The journal as it was written last; a new one on a new device, or if it cannot be read.

    A device that would not start for a spoiled file could never be updated again.
    """
    content = storage.read(_FILE)
    if content is None:
        return Journal()
    try:
        return _journal(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.exception("the journal cannot be read; a new one is begun")
        return Journal()


def write(storage: Storage, journal: Journal) -> None:
    """Keep the journal; it outlives the loss of power once this returns."""
    latest = dict(list(journal.attempts.items())[-_ROLLOUTS_REMEMBERED:])
    content = asdict(replace(journal, attempts=latest))
    storage.replace(_FILE, json.dumps(content).encode())


def _journal(found: dict[str, Any]) -> Journal:
    job = found["job"]
    return Journal(
        job=_job(job) if job else None,
        attempts=dict(found["attempts"]),
        highest_sequence=int(found["highest_sequence"]),
    )


def _job(found: dict[str, Any]) -> Job:
    offer, image, error = found["offer"], found["image"], found["error"]
    return Job(
        offer=Offer(**{**offer, "update": Update(**offer["update"])}),
        phase=Phase(found["phase"]),
        told=FirmwareStatus(found["told"]),
        image=Image(**image) if image else None,
        old_slot=found["old_slot"],
        error=UpdateError(**error) if error else None,
    )
