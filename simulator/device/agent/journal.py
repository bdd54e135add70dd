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

FILE = "journal.json"
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

    def begin(self, offer: Offer) -> None:
        """An update begins; the last one has ended."""
        attempts, update = dict(self.attempts), offer.update
        if update.rollout_id and update.attempt:
            attempts.pop(update.rollout_id, None)  # the latest comes last
            attempts[update.rollout_id] = update.attempt
        latest = dict(list(attempts.items())[-_ROLLOUTS_REMEMBERED:])
        self._write(replace(self._record, job=Job(offer=offer), attempts=latest))

    def enter(self, job: Job) -> None:
        """The update under way comes to the phase that `job` has."""
        self._write(replace(self._record, job=job))

    def confirm(self, job: Job) -> None:
        """The update's firmware has run, is well, and stays."""
        highest = max(self.highest_sequence, job.offer.sequence or 0)
        done = replace(job, phase=Phase.CONFIRMED)
        self._write(replace(self._record, job=done, highest_sequence=highest))

    def told(self, status: FirmwareStatus) -> None:
        """The hub has heard of `status`; of an end, nothing more is to be done."""
        job = self.job
        if job is None or job.told is status:
            return
        ended = status in (FirmwareStatus.COMPLETED, FirmwareStatus.FAILED)
        self._write(replace(self._record, job=None if ended else replace(job, told=status)))

    def _write(self, changed: _Record) -> None:
        self._storage.replace(FILE, json.dumps(asdict(changed)).encode())
        self._record = changed


def _read(storage: Storage) -> _Record:
    content = storage.read(FILE)
    try:
        return _record(json.loads(content)) if content else _Record()
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.exception("the journal cannot be read; a new one is begun")
        return _Record()


def _record(found: dict[str, Any]) -> _Record:
    job = found["job"]
    return _Record(
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
