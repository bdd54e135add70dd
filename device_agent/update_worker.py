"""The work of an update, phase by phase: download, install, switch, and after the restart judge.

Whatever is found in the journal is done again from the beginning of its phase. From the switch to
the end of the trial only the slots know what runs: the journal follows them.
"""

import errno
import logging
import threading
from dataclasses import replace

from device_agent.admission import Admission
from device_agent.download import Downloader, Progress
from device_agent.errors import Failure, SwitchedOffError, UpdateFailedError
from device_agent.journal import Job, Journal, Phase
from device_agent.offer import Image, redact_url
from device_agent.partial_package import PACKAGE
from device_agent.ports import BootState, Product, RunningFirmware
from device_agent.update import UpdateError

logger = logging.getLogger(__name__)

_READINESS_SECONDS = 30.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A hub takes texts of 4 KiB in a twin (Microsoft Learn, "Understand and use device twins").
_MESSAGE_CHARACTERS = 500


class UpdateWorker:
    """What is done with the journal's job in one life of the device."""

    def __init__(
        self, product: Product, journal: Journal, downloader: Downloader, admission: Admission
    ) -> None:
        """Does nothing before `run_phase`."""
        self._product = product
        self._journal = journal
        self._downloader = downloader
        self._admission = admission
        self._verdict = threading.Lock()
        self.is_restarting = False
        """Whether the device is about to start anew."""

    def run_phase(self, progress: Progress) -> None:
        """Do what comes next; blocks for as long as it takes.

        Raises SwitchedOffError; raises OSError if the storage fails during a trial, after which the
        device must restart.
        """
        try:
            self._advance(self._journal.job, progress)
        except SwitchedOffError:
            raise
        except Exception as error:
            if not self._is_still_old():
                raise  # by now only the slots tell what runs
            self._fail(*self._failure(error))

    def revert(self, why: str) -> None:
        """End the trial of the running firmware, unless it is decided: the old one comes back."""
        with self._verdict:
            if (
                self.is_restarting
                or self._product.installer.running().boot is not BootState.ON_TRIAL
            ):
                return
            job = self._journal.job
            if job is not None:
                error = _error(Failure.REVERTED, f"the new firmware was not well: {why}")
                self._journal.enter(replace(job, error=error))
            self._product.installer.revert()
            self._restart()

    def _advance(self, job: Job | None, progress: Progress) -> None:
        match job.phase if job else None:
            case Phase.DOWNLOADING if job:
                self._download(job, progress)
            case Phase.INSTALLING if job:
                self._install(job)
            case Phase.SWITCHING if job:
                self._switch(job)
            case Phase.TRYING | None:
                self._try(job)

    def _download(self, job: Job, progress: Progress) -> None:
        logger.info("downloading %s", redact_url(job.offer.url))
        spent = self._product.clock.now() - job.began_at
        fetched = self._downloader.fetch(job.offer, progress, spent_seconds=spent.total_seconds())
        version = job.offer.update.version or f"sha256-{fetched.sha256[:12]}"
        image = Image(version=version, sha256=fetched.sha256, size_bytes=fetched.size_bytes)
        self._journal.enter(replace(job, phase=Phase.INSTALLING, image=image))

    def _install(self, job: Job) -> None:
        installer = self._product.installer
        if job.image is None:
            raise UpdateFailedError(
                Failure.INSTALL_FAILED, "the journal does not say what to install"
            )
        self._admission.check_again(
            job.offer,
            running_version=installer.running().version,
            highest_sequence=self._journal.highest_sequence,
        )
        installer.install(job.image, self._product.storage.chunks(PACKAGE))
        job = replace(job, phase=Phase.SWITCHING, old_slot=installer.running().slot)
        self._journal.enter(job)
        self._downloader.discard()  # the slot has it; and a full disk must not stop the switch
        self._switch(job)

    def _switch(self, job: Job) -> None:
        is_new = self._is_still_old()
        if is_new:
            self._wait_until_ready()
            self._product.installer.switch()
        job = replace(job, phase=Phase.TRYING)
        self._journal.enter(job)
        if is_new:
            self._restart()
        else:
            self._try(job)

    def _try(self, job: Job | None) -> None:
        running = self._product.installer.running()
        if running.boot is BootState.SWITCHED:
            self._restart()
        elif job is not None and running.slot == job.old_slot:
            error = job.error or _did_not_stay(running)
            self._fail(Failure.REVERTED, error.message)
        else:
            self._judge(job)

    def _judge(self, job: Job | None) -> None:
        problem = self._problem(job)
        if problem is not None:
            self.revert(problem)
            return
        with self._verdict:
            if self.is_restarting:  # while the check went on, its time was over
                return
            self._product.installer.confirm()
        if job is not None:
            self._journal.confirm(job)

    def _problem(self, job: Job | None) -> str | None:
        running = self._product.installer.running().version
        wanted = job.offer.update.version if job else None
        if wanted is not None and running != wanted:
            return f"it calls itself {running}, and not {wanted}"
        try:
            return self._product.health.find_problem()
        except Exception as error:  # noqa: BLE001 - a check that breaks is a check not passed
            return f"its health check broke with {type(error).__name__}"

    def _wait_until_ready(self) -> None:
        while (deferral := self._product.readiness.find_deferral()) is not None:
            logger.info("the restart waits: %s", deferral.message)
            self._product.clock.sleep(_READINESS_SECONDS)

    def _is_still_old(self) -> bool:
        """Whether nothing of the update has reached the boot record."""
        job = self._journal.job
        if job is None or job.phase is not Phase.SWITCHING:
            return job is not None and job.phase in (Phase.DOWNLOADING, Phase.INSTALLING)
        running = self._product.installer.running()
        return running.boot is BootState.SETTLED and running.slot == job.old_slot

    def _restart(self) -> None:
        self.is_restarting = True
        self._product.installer.restart()

    def _failure(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, UpdateFailedError):
            return error.code, error.message
        if not isinstance(error, OSError):
            logger.error("an update broke", exc_info=error)
            return Failure.INTERNAL_ERROR, f"the device's software broke: {type(error).__name__}"
        if error.errno in _FULL:
            self._downloader.discard()  # for the journal to have room again
            return Failure.NO_SPACE, f"the device's disk is full: {error.strerror}"
        return Failure.STORAGE_FAILED, f"the device's disk does not work: {error.strerror}"

    def _fail(self, code: str, message: str) -> None:
        job = self._journal.job
        if job is not None:
            self._journal.enter(replace(job, phase=Phase.FAILED, error=_error(code, message)))


def _error(code: str, message: str) -> UpdateError:
    return UpdateError(code=code, message=message[:_MESSAGE_CHARACTERS])


def _did_not_stay(running: RunningFirmware) -> UpdateError:
    return _error(Failure.REVERTED, f"the new firmware did not stay: {running.version} runs again")
