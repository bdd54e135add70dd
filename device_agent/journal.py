"""What a device remembers of its updates: one small file, replaced as a whole.

    downloading -> installing -> switching -> trying -> confirmed -> ended
         |             |             |           |
         +-------------+-------------+-----------+----> failed ----> ended

A phase is written down before its work begins, so whoever finds it does that work again. `told` is
the last status that the hub has acknowledged: what a phase owes the hub is said until it is heard.
"""

import json
import logging
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from device_agent.offer import Image, Offer
from device_agent.ports import Storage
from device_agent.update import FirmwareStatus, Update, UpdateError

logger = logging.getLogger(__name__)

FILE = "journal.json"
# The journal may be read by the agent of the other slot, an older or a newer one: members that it
# does not know are passed over, missing ones have defaults.
_FORMAT = 1
_ROLLOUTS_REMEMBERED = 32


class Phase(StrEnum):
    """What an update is at."""

    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SWITCHING = "switching"  # the next start may be the other slot's already
    TRYING = "trying"  # the next start, or this one, is the other slot's
    CONFIRMED = "confirmed"
    FAILED = "failed"


STATUS = {
    Phase.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    Phase.INSTALLING: FirmwareStatus.APPLYING,
    Phase.SWITCHING: FirmwareStatus.APPLYING,
    Phase.TRYING: FirmwareStatus.APPLYING,
    Phase.CONFIRMED: FirmwareStatus.COMPLETED,
    Phase.FAILED: FirmwareStatus.FAILED,
}
"""What the hub is to be told in each phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The update under way."""

    offer: Offer
    began_at: datetime
    phase: Phase = Phase.DOWNLOADING
    told: FirmwareStatus = FirmwareStatus.STAND_BY
    image: Image | None = None
    """What was downloaded and verified; known from `installing` on."""
    old_slot: str | None = None
    """The slot that ran before the switch; known from `switching` on."""
    error: UpdateError | None = None

    @property
    def unreported_status(self) -> FirmwareStatus | None:
        """What the hub is still to be told."""
        status = STATUS[self.phase]
        return None if self.told is status else status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """All that outlives a restart."""

    job: Job | None = None
    attempts: dict[str, int] = field(default_factory=dict)
    highest_sequence: int = 0


class Journal:
    """A device's memory. What a method changes outlives the loss of power once it returns.

    Every method raises OSError, and then has changed nothing.
    """

    def __init__(self, storage: Storage) -> None:
        """As it was written last; a new one on a new device, or if it cannot be read.

        A device that would not start for a spoiled file could never be updated again.
        """
        self._storage = storage
        self._record = _read(storage)

    @property
    def job(self) -> Job | None:
        """The update under way."""
        return self._record.job

    @property
    def attempts(self) -> dict[str, int]:
        """The latest attempt of the rollouts heard of last, oldest first."""
        return self._record.attempts

    @property
    def highest_sequence(self) -> int:
        """Of the signed manifests whose firmware was confirmed here."""
        return self._record.highest_sequence

    def begin(self, offer: Offer, now: datetime) -> None:
        """An update begins; the last one has ended."""
        attempts, update = dict(self.attempts), offer.update
        if update.rollout_id and update.attempt:
            attempts.pop(update.rollout_id, None)  # the latest comes last
            attempts[update.rollout_id] = update.attempt
        latest = dict(list(attempts.items())[-_ROLLOUTS_REMEMBERED:])
        self._write(replace(self._record, job=Job(offer=offer, began_at=now), attempts=latest))

    def enter(self, job: Job) -> None:
        """The update under way comes to the phase that `job` has."""
        self._write(replace(self._record, job=job))

    def confirm(self, job: Job) -> None:
        """The update's firmware has run, is well, and stays."""
        highest = max(self.highest_sequence, job.offer.sequence or 0)
        done = replace(job, phase=Phase.CONFIRMED, error=None)
        self._write(replace(self._record, job=done, highest_sequence=highest))

    def acknowledge(self, status: FirmwareStatus) -> None:
        """The hub has heard of `status`; of an end, nothing more is to be done."""
        job = self.job
        if job is None or job.told is status:
            return
        ended = status in (FirmwareStatus.COMPLETED, FirmwareStatus.FAILED)
        self._write(replace(self._record, job=None if ended else replace(job, told=status)))

    def _write(self, changed: _Record) -> None:
        content = json.dumps({"format": _FORMAT} | asdict(changed), default=datetime.isoformat)
        self._storage.replace(FILE, content.encode())
        self._record = changed


def _read(storage: Storage) -> _Record:
    content = storage.read(FILE)
    try:
        found = json.loads(content) if content else {}
        record = _Record(
            attempts=dict(found.get("attempts", {})),
            highest_sequence=int(found.get("highest_sequence", 0)),
        )
    except (ValueError, TypeError, AttributeError):
        logger.exception("the journal cannot be read; a new one is begun")
        return _Record()
    try:
        return replace(record, job=_job(found["job"]) if found.get("job") else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.exception("the update under way cannot be read; it is given up")
        return record


def _job(found: dict[str, Any]) -> Job:
    offer = _known(Offer, found["offer"]) | {"update": _made(Update, found["offer"]["update"])}
    image, error = found.get("image"), found.get("error")
    return Job(
        offer=Offer(**offer),
        began_at=datetime.fromisoformat(found["began_at"]),
        phase=Phase(found["phase"]),
        told=FirmwareStatus(found["told"]),
        image=_made(Image, image) if image else None,
        old_slot=found.get("old_slot"),
        error=_made(UpdateError, error) if error else None,
    )


def _made[T](kind: type[T], found: dict[str, Any]) -> T:
    return kind(**_known(kind, found))


def _known(kind: type, found: dict[str, Any]) -> dict[str, Any]:
    names = {member.name for member in fields(kind)}
    return {name: value for name, value in found.items() if name in names}
