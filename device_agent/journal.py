"""Record a device's updates in one small file, which is replaced atomically.

    downloading -> installing -> switching -> trying -> confirmed -> ended
         |             |             |           |
         +-------------+-------------+-----------+----> failed ----> ended

A phase is recorded before its work starts, so that after a restart its work is done again. `told`
is the last status that the hub has acknowledged; a status is reported until it is acknowledged.
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
# The agent of the other slot, older or newer, may read the journal: unknown fields are ignored and
# missing ones have defaults.
_FORMAT = 1
# Enough to recognise a late method, few enough for one small file.
_MAX_REMEMBERED_ROLLOUTS = 32


class Phase(StrEnum):
    """The phase of an update."""

    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    SWITCHING = "switching"  # the next start may already use the other slot
    TRYING = "trying"  # this start or the next one uses the other slot
    CONFIRMED = "confirmed"
    FAILED = "failed"


STATUS_OF_PHASE = {
    Phase.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    Phase.INSTALLING: FirmwareStatus.APPLYING,
    Phase.SWITCHING: FirmwareStatus.APPLYING,
    Phase.TRYING: FirmwareStatus.APPLYING,
    Phase.CONFIRMED: FirmwareStatus.COMPLETED,
    Phase.FAILED: FirmwareStatus.FAILED,
}
"""The status to report in each phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The update under way."""

    offer: Offer
    """The update and its package."""
    began_at: datetime
    """When the update was accepted, by a clock that may be wrong; older agents read it."""
    download_seconds: float = 0.0
    """How long the download has taken while the device had power."""
    phase: Phase = Phase.DOWNLOADING
    """The phase whose work is next."""
    told: FirmwareStatus = FirmwareStatus.STAND_BY
    """The last status that the hub has acknowledged."""
    image: Image | None = None
    """The downloaded image; None before `installing`."""
    old_slot: str | None = None
    """The slot that ran before the switch; None before `switching`."""
    error: UpdateError | None = None
    """Why the update failed, or why its trial ended; None if neither happened."""

    @property
    def is_under_way(self) -> bool:
        """Whether the update has not ended yet."""
        return self.phase not in (Phase.CONFIRMED, Phase.FAILED)

    @property
    def unreported_status(self) -> FirmwareStatus | None:
        """The status that the hub has not acknowledged yet; None if it has."""
        status = STATUS_OF_PHASE[self.phase]
        return None if self.told is status else status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The journal's content."""

    job: Job | None = None
    """The latest update; None if the hub knows its end."""
    ended: Job | None = None
    """The update before, if it has ended and the hub does not know its end."""
    attempts: dict[str, int] = field(default_factory=dict)
    """The latest attempt by rollout id, oldest first."""
    highest_sequence: int = 0
    """The highest sequence whose firmware was confirmed; 0 if none was."""


class Journal:
    """The journal of one device. A change survives a loss of power once its method returns.

    Every method may raise OSError, and then has changed nothing.
    """

    def __init__(self, storage: Storage) -> None:
        """Read the journal; start an empty one if the file is missing or damaged.

        A device that refused to start because of a damaged file could never be updated again.
        """
        self._storage = storage
        self._record = _read(storage)

    @property
    def job(self) -> Job | None:
        """The latest update; None if the hub knows its end."""
        return self._record.job

    @property
    def unreported_job(self) -> Job | None:
        """The update of which the hub does not know the status; None if it knows all."""
        if self._record.ended is not None:
            return self._record.ended
        return self.job if self.job and self.job.unreported_status else None

    @property
    def can_begin(self) -> bool:
        """Whether no update is under way, and at most one end is unreported."""
        return self.job is None or (not self.job.is_under_way and self._record.ended is None)

    @property
    def attempts(self) -> dict[str, int]:
        """The latest attempt of the most recent rollouts, by rollout id, oldest first."""
        return self._record.attempts

    @property
    def highest_sequence(self) -> int:
        """The highest sequence of the manifests whose firmware was confirmed; 0 if none was."""
        return self._record.highest_sequence

    def begin(self, offer: Offer, now: datetime) -> None:
        """Record a new update; `can_begin` must be true.

        The end of the last update is still reported first.
        """
        attempts, update = dict(self.attempts), offer.update
        if update.rollout_id and update.attempt:
            attempts.pop(update.rollout_id, None)  # keeps the latest last
            attempts[update.rollout_id] = update.attempt
        latest = dict(list(attempts.items())[-_MAX_REMEMBERED_ROLLOUTS:])
        job = Job(offer=offer, began_at=now)
        self._write(replace(self._record, job=job, ended=self.job, attempts=latest))

    def enter(self, job: Job) -> None:
        """Record that the update under way has reached the phase of `job`."""
        self._write(replace(self._record, job=job))

    def confirm(self, job: Job) -> None:
        """Record that the update's firmware is confirmed."""
        highest = max(self.highest_sequence, job.offer.sequence or 0)
        done = replace(job, phase=Phase.CONFIRMED, error=None)
        self._write(replace(self._record, job=done, highest_sequence=highest))

    def acknowledge(self, status: FirmwareStatus) -> None:
        """Record that the hub has `status`; forget the update if that ends it."""
        job = self.unreported_job
        if job is None or job.told is status:
            return
        has_end = status in (FirmwareStatus.COMPLETED, FirmwareStatus.FAILED)
        told = None if has_end else replace(job, told=status)
        if self._record.ended is not None:
            self._write(replace(self._record, ended=told))
        else:
            self._write(replace(self._record, job=told))

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
        logger.exception("the journal is damaged; starting an empty one")
        return _Record()
    return replace(record, job=_read_job(found.get("job")), ended=_read_job(found.get("ended")))


def _read_job(found: Any) -> Job | None:
    try:
        return _build_job(found) if found else None
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.exception("an update cannot be read from the journal; it is dropped")
        return None


def _build_job(found: dict[str, Any]) -> Job:
    offer = _known_fields(Offer, found["offer"]) | {
        "update": _build(Update, found["offer"]["update"])
    }
    image, error = found.get("image"), found.get("error")
    return Job(
        offer=Offer(**offer),
        began_at=datetime.fromisoformat(found["began_at"]),
        download_seconds=max(0.0, float(found.get("download_seconds", 0.0))),
        phase=Phase(found["phase"]),
        told=FirmwareStatus(found["told"]),
        image=_build(Image, image) if image else None,
        old_slot=found.get("old_slot"),
        error=_build(UpdateError, error) if error else None,
    )


def _build[T](kind: type[T], found: dict[str, Any]) -> T:
    return kind(**_known_fields(kind, found))


def _known_fields(kind: type, found: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in found.items() if name in names}
